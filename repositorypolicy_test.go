package tasuki

import (
	"strings"
	"testing"
)

func TestRepositoryPolicy(t *testing.T) {
	const function, account = "arn:aws:lambda:us-east-1:222222222222:function:orders", "222222222222"
	const service = `"Principal":{"Service":"lambda.amazonaws.com"}`
	const both = `"Action":["ecr:BatchGetImage","ecr:GetDownloadUrlForLayer"]`
	cases := map[string]struct {
		statements      string
		allowed, denied bool
	}{
		"none":                   {``, false, false},
		"both actions":           {`{"Effect":"Allow",` + service + `,` + both + `}`, true, false},
		"in two statements":      {`{"Effect":"Allow",` + service + `,"Action":"ecr:BatchGetImage"},{"Effect":"Allow",` + service + `,"Action":["ecr:getdownloadurlforlayer"]}`, true, false},
		"one of them":            {`{"Effect":"Allow",` + service + `,"Action":"ecr:BatchGetImage"}`, false, false},
		"all of ECR":             {`{"Effect":"Allow",` + service + `,"Action":"ecr:*"}`, true, false},
		"everything but another": {`{"Effect":"Allow",` + service + `,"NotAction":"ecr:PutImage"}`, true, false},
		"everything but one":     {`{"Effect":"Allow",` + service + `,"NotAction":"ecr:Batch*"}`, false, false},
		"everybody":              {`{"Effect":"Allow","Principal":"*",` + both + `}`, true, false},
		"somebody else":          {`{"Effect":"Allow","Principal":{"Service":["ecs.amazonaws.com"]},` + both + `}`, false, false},
		"an account":             {`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},` + both + `}`, false, false},
		"this function":          {`{"Effect":"Allow",` + service + `,` + both + `,"Condition":{"StringLike":{"aws:sourceARN":["x","arn:aws:lambda:us-east-1:222222222222:function:*"]}}}`, true, false},
		"another function":       {`{"Effect":"Allow",` + service + `,` + both + `,"Condition":{"ArnLike":{"AWS:SourceArn":"arn:aws:lambda:us-east-1:222222222222:function:other"}}}`, false, false},
		"another account":        {`{"Effect":"Allow",` + service + `,` + both + `,"Condition":{"StringEquals":{"aws:SourceAccount":"333333333333"}}}`, false, false},
		"what cannot be judged":  {`{"Effect":"Allow",` + service + `,` + both + `,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}`, true, false},
		"denied":                 {`{"Effect":"Allow",` + service + `,` + both + `},{"Effect":"Deny","Principal":"*","Action":"ecr:GetDownloadUrlForLayer"}`, true, true},
		"denied to others":       {`{"Effect":"Allow",` + service + `,` + both + `},{"Effect":"Deny","NotPrincipal":{"Service":"lambda.amazonaws.com"},"Action":"ecr:*"}`, true, false},
		"denied to all but one":  {`{"Effect":"Allow",` + service + `,` + both + `},{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::222222222222:role/admin"},"Action":"ecr:*"}`, true, true},
		"everybody, as AWS":      {`{"Effect":"Allow","Principal":{"AWS":"*"},` + both + `}`, true, false},
		"denied to all, as AWS":  {`{"Effect":"Deny","Principal":{"AWS":"*"},` + both + `}`, false, true},
		"denied, perhaps":        {`{"Effect":"Deny","Principal":"*","Action":"ecr:*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}`, false, false},
		"denied to push":         {`{"Effect":"Deny","Principal":"*","Action":"ecr:PutImage"}`, false, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			policy, err := parseRepositoryPolicy(`{"Version":"2012-10-17","Statement":[` + c.statements + `]}`)
			if err != nil {
				t.Fatal(err)
			}
			if allowed, denied := policy.lambdaPulls(function, account); allowed != c.allowed || denied != c.denied {
				t.Errorf("allowed %t, denied %t, want %t, %t", allowed, denied, c.allowed, c.denied)
			}
		})
	}
	one, err := parseRepositoryPolicy(`{"Statement":{"Effect":"Allow","Principal":{"AWS":["111111111111","arn:aws:iam::222222222222:root"]},` + both + `}}`)
	if err != nil || !one.accountPulls("111111111111") || !one.accountPulls(account) || one.accountPulls("333333333333") {
		t.Errorf("a statement without a list: %+v, %v", one, err)
	}
	if _, err := parseRepositoryPolicy(`{"Statement":"x"}`); err == nil || !strings.Contains(err.Error(), "repository policy") {
		t.Errorf("a malformed policy: %v", err)
	}
}

func FuzzParseRepositoryPolicy(f *testing.F) {
	f.Add(`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"ecr:*","Condition":{"StringLike":{"aws:sourceARN":"arn:*"}}}]}`)
	f.Add(`{"Statement":{"Effect":"Deny","Principal":{"AWS":["1"]},"NotAction":["a","b?*"]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		policy, err := parseRepositoryPolicy(text)
		if err != nil {
			return
		}
		policy.lambdaPulls("arn:aws:lambda:us-east-1:222222222222:function:orders", "222222222222")
		policy.accountPulls("222222222222")
	})
}
