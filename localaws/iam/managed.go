package iam

// managed returns the document of one of AWS's own policies, by its path and name (AWS
// managed policy reference): those that the CDK attaches to what it makes. Of
// ReadOnlyAccess, which the bootstrap's lookup role has, it is what is said of the
// services that the local endpoint provides.
func managed(name string) (document string, known bool) {
	document, known = map[string]string{
		"AdministratorAccess":             `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
		"AWSCloudFormationReadOnlyAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*","Action":["cloudformation:Describe*","cloudformation:EstimateTemplateCost","cloudformation:Get*","cloudformation:List*","cloudformation:ValidateTemplate","cloudformation:Detect*"]}]}`,
		"ReadOnlyAccess": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*","Action":[
			"cloudformation:Describe*","cloudformation:Detect*","cloudformation:Estimate*","cloudformation:Get*","cloudformation:List*",
			"ecr:BatchCheck*","ecr:BatchGet*","ecr:Describe*","ecr:Get*","ecr:List*",
			"events:Describe*","events:List*","events:Test*",
			"iam:Generate*","iam:Get*","iam:List*","iam:Simulate*",
			"lambda:Get*","lambda:List*",
			"logs:Describe*","logs:FilterLogEvents","logs:Get*","logs:List*",
			"s3:DescribeJob","s3:Get*","s3:List*",
			"sqs:Get*","sqs:List*","sqs:Receive*",
			"ssm:Describe*","ssm:Get*","ssm:List*",
			"sts:GetCallerIdentity"]}]}`,
		"service-role/AWSLambdaBasicExecutionRole":    `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`,
		"service-role/AWSLambdaSQSQueueExecutionRole": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:ReceiveMessage","sqs:DeleteMessage","sqs:GetQueueAttributes","logs:CreateLogGroup","logs:CreateLogStream","logs:PutLogEvents"],"Resource":"*"}]}`,
	}[name]
	return document, known
}
