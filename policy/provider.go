package policy

// ProviderOptions are what the provider function does for a stack beyond resolving
// and reconciling.
type ProviderOptions struct {
	Stack    string   // ARN of the handoff's stack; "" where it is not asked for
	Mappings []string // ARNs of event source mappings that are held until the first release
}

// Provider allows the provider function to serve one handoff: to resolve and
// reconcile it, to put its placeholder into ECR, to keep its alias, to see how its
// stack stands, and to enable its event source mappings. It may never write the tag
// parameter, and does not read the contract, which its events carry.
func Provider(r Resources, o ProviderOptions) []Statement {
	r.WithoutContract, r.RepositoryByName = true, false
	g := grants{resources: r, statements: Reconcile(r, Options{})}
	g.push() // the placeholder, which may be any image
	if r.Aliased {
		g.onAliases("lambda:DeleteAlias")
	}
	g.on("Stack", one(o.Stack), "cloudformation:DescribeStackResource", "cloudformation:DescribeStacks")
	g.on("EventSourceMappings", o.Mappings, "lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping")
	return Merge(g.statements)
}

// Adoption allows the provider function what it needs on functions of a stack that no
// policy names. It reads one before the policy that waits for it can name it, because a
// function whose image is being resolved may run already. And it deletes the alias of
// one that was replaced or is to have none any more, because CloudFormation asks for that
// after it has changed the policy. The resource is every function, the condition the tag
// that CloudFormation puts on its own. Functions whose ARNs are known beforehand are
// named: of one that there is not there are no tags, and nobody else would be told that
// it is missing.
func Adoption(stack string, named ...string) []Statement {
	g := grants{statements: []Statement{{
		Sid: "FunctionsOfStack", Actions: []string{"lambda:DeleteAlias", "lambda:GetAlias", "lambda:GetFunction"}, Resources: []string{"*"},
		Conditions: map[string]map[string]string{"StringEquals": {"aws:ResourceTag/aws:cloudformation:stack-id": stack}},
	}}}
	g.on("Functions", named, "lambda:GetFunction")
	return g.statements
}

// DeploymentResources are the ARNs of what an image is put into ECR from; "" stands
// for what there is not.
type DeploymentResources struct {
	Destination string // repository
	Source      string // repository, of a source in private ECR
	Secret      string // with the source's credentials
	Object      string // archive in S3
	Stack       string // that has the deployment: while it is rolled back, the answer may be another
}

// Deployment allows the provider function to put an image into an ECR repository.
func Deployment(r DeploymentResources) []Statement {
	g := grants{resources: Resources{Repository: r.Destination}}
	g.push()
	if r.Source != "" {
		g.statements = append(g.statements, login())
	}
	g.on("Source", one(r.Source), "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
	g.on("Secret", one(r.Secret), "secretsmanager:GetSecretValue")
	g.on("Object", one(r.Object), "s3:GetObject")
	g.on("Stack", one(r.Stack), "cloudformation:DescribeStacks")
	return Merge(g.statements)
}
