package iam_test

import (
	"strings"
	"testing"

	"github.com/tasuki-dev/tasuki/localaws/iam"
)

func TestEvaluate(t *testing.T) {
	const parameter = "arn:aws:ssm:us-east-1:000000000000:parameter/orders/tag"
	read := iam.Access{Action: "ssm:GetParameter", Resource: parameter}
	from := func(key string, values ...string) iam.Access {
		return iam.Access{Action: "ssm:GetParameter", Resource: parameter, Context: map[string][]string{key: values}}
	}
	statement := func(parts string) string { return `{"Version":"2012-10-17","Statement":{` + parts + `}}` }
	allow := func(condition string) string {
		return statement(`"Sid":"Read","Effect":"Allow","Action":"ssm:Get*","Resource":"*","Condition":` + condition)
	}
	tests := []struct {
		name     string
		document string
		access   iam.Access
		want     bool
		reason   string
	}{
		{"exact", statement(`"Effect":"Allow","Action":"ssm:GetParameter","Resource":"` + parameter + `"`), read, true, "statement 1 of policy p allows it"},
		{"the action's case", statement(`"Effect":"Allow","Action":["SSM:getparameter"],"Resource":["*"]`), read, true, ""},
		{"wildcards", statement(`"Effect":"Allow","Action":"ssm:Get*r","Resource":"arn:aws:ssm:*:0000000000??:parameter/orders/*"`), read, true, ""},
		{"another action", statement(`"Effect":"Allow","Action":"ssm:PutParameter","Resource":"*"`), read, false, "no identity-based policy allows the ssm:GetParameter action"},
		{"another resource", statement(`"Effect":"Allow","Action":"ssm:*","Resource":"` + parameter + `s"`), read, false, "no identity-based policy"},
		{"NotAction", statement(`"Effect":"Allow","NotAction":"iam:*","Resource":"*"`), read, true, ""},
		{"NotAction of it", statement(`"Effect":"Allow","NotAction":"ssm:*","Resource":"*"`), read, false, ""},
		{"NotResource", statement(`"Effect":"Allow","Action":"*","NotResource":"` + parameter + `"`), read, false, ""},
		{
			"a deny counts", `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"No","Effect":"Deny","Action":"ssm:*","Resource":"*"}]}`,
			read, false, "an explicit deny in statement No of policy p",
		},
		{"StringEquals", allow(`{"StringEquals":{"aws:ResourceTag/a":"b"}}`), from("aws:ResourceTag/a", "b"), true, ""},
		{"StringEquals, another", allow(`{"StringEquals":{"aws:ResourceTag/a":["b","c"]}}`), from("aws:ResourceTag/a", "d"), false, ""},
		{"StringEquals, absent", allow(`{"StringEquals":{"aws:ResourceTag/a":"b"}}`), read, false, ""},
		{"the key's case", allow(`{"StringEquals":{"AWS:SourceAccount":"1"}}`), from("aws:sourceaccount", "1"), true, ""},
		{"IfExists", allow(`{"StringEqualsIfExists":{"aws:ResourceTag/a":"b"}}`), read, true, ""},
		{"StringNotEquals", allow(`{"StringNotEquals":{"aws:ResourceTag/a":"b"}}`), from("aws:ResourceTag/a", "b"), false, ""},
		{"StringLike", allow(`{"StringLike":{"aws:PrincipalArn":"arn:*:role/a?"}}`), from("aws:PrincipalArn", "arn:aws:iam::1:role/ab"), true, ""},
		{"ArnLike keeps to its part", allow(`{"ArnLike":{"aws:SourceArn":"arn:aws:*:us-east-1:1:f"}}`), from("aws:SourceArn", "arn:aws:lambda:x:us-east-1:1:f"), false, ""},
		{"ArnLike", allow(`{"ArnLike":{"aws:SourceArn":"arn:aws:lambda:*:1:function:*"}}`), from("aws:SourceArn", "arn:aws:lambda:us-east-1:1:function:f"), true, ""},
		{"Null", allow(`{"Null":{"aws:ResourceTag/a":"true"}}`), read, true, ""},
		{"Bool", allow(`{"Bool":{"aws:SecureTransport":true}}`), from("aws:SecureTransport", "true"), true, ""},
		{"ForAllValues", allow(`{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}}`), from("aws:TagKeys", "a", "c"), false, ""},
		{"ForAnyValue", allow(`{"ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}}`), from("aws:TagKeys", "a", "c"), true, ""},
		{"an unknown condition", allow(`{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), read, false, "statement Read of policy p has the condition IpAddress, which tasuki local does not know"},
		{"a deny with an unknown condition", statement(`"Effect":"Deny","Action":"*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`), read, false, "an explicit deny"},
		{"not a document", `{"Statement":[]}`, read, false, "policy p cannot be read"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, reason := iam.Evaluate(map[string]string{"p": test.document}, test.access)
			if got != test.want || !strings.Contains(reason, test.reason) {
				t.Errorf("got %t, %s; want %t, %s", got, reason, test.want, test.reason)
			}
		})
	}
}

func FuzzEvaluate(f *testing.F) {
	f.Add(`{"Statement":{"Effect":"Allow","Action":"*","Resource":"a*b?c"}}`, "ssm:Get", "aXbYc")
	f.Add(`{"Statement":[{"Effect":"Deny","NotAction":["a"],"Condition":{"ForAnyValue:StringNotLike":{"k":[true,1]}}}]}`, "a", "")
	f.Fuzz(func(t *testing.T, document, action, resource string) {
		if allowed, reason := iam.Evaluate(map[string]string{"p": document}, iam.Access{Action: action, Resource: resource}); !allowed && reason == "" {
			t.Error("there is no reason")
		}
	})
}
