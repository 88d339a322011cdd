package policy

// grants collects what a command does with a handoff's resources. A Sid names the
// resources that a statement is about.
type grants struct {
	resources  Resources
	statements []Statement
}

// on allows actions on resources; nothing where there are none.
func (g *grants) on(sid string, resources []string, actions ...string) {
	if len(resources) > 0 {
		g.statements = append(g.statements, Statement{Sid: sid, Actions: actions, Resources: resources})
	}
}

// one returns a list of the resource, empty where there is none.
func one(resource string) []string {
	if resource == "" {
		return nil
	}
	return []string{resource}
}

// found allows to find out what the handoff is: from the contract, and from flags.
func (r Resources) found() grants {
	g := grants{resources: r}
	if !r.WithoutContract {
		g.on("Contract", one(r.Contract), "ssm:GetParameter")
	}
	if r.RepositoryByName {
		g.on("Repository", one(r.Repository), "ecr:DescribeRepositories")
	}
	return g
}

// readTag allows to read the tag parameter: the history alone has descriptions, and
// GetParameter alone is sure to be about the current version.
func (g *grants) readTag() {
	g.on("TagParameter", one(g.resources.TagParameter), "ssm:GetParameter", "ssm:GetParameterHistory")
}

func (g *grants) writeTag() {
	g.on("TagParameter", one(g.resources.TagParameter), "ssm:PutParameter")
}

// readImages allows to read manifests, and configurations, which are blobs.
func (g *grants) readImages() {
	g.on("Repository", one(g.resources.Repository), "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
}

// protect allows to tag an image that ECR has.
func (g *grants) protect() {
	g.on("Repository", one(g.resources.Repository), "ecr:PutImage")
}

// upload allows to put an image of which ECR has nothing yet, such as the built-in
// placeholder, into the repository.
func (g *grants) upload() {
	if g.resources.Repository == "" {
		return
	}
	g.statements = append(g.statements, login())
	g.on("Repository", one(g.resources.Repository), "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart")
}

// push allows to put any image into the repository: what is there is not sent again.
func (g *grants) push() {
	g.upload()
	g.on("Repository", one(g.resources.Repository), "ecr:BatchCheckLayerAvailability")
}

// login allows to log in to ECR's registry, which is no action on a repository.
func login() Statement {
	return Statement{Sid: "Registry", Actions: []string{"ecr:GetAuthorizationToken"}, Resources: []string{"*"}}
}

// versions returns the functions' versions and aliases. "FUNCTION:*" does not cover
// the function itself.
func (g *grants) versions() []string {
	var versions []string
	for _, f := range g.resources.Functions {
		versions = append(versions, f+":*")
	}
	return versions
}

func (g *grants) askArchitecture() {
	if g.resources.ArchitectureUnknown {
		g.on("Functions", g.resources.Functions, "lambda:GetFunction")
	}
}

// moveFunctions allows to change the functions' code, and their alias where they have one.
func (g *grants) moveFunctions() {
	g.on("Functions", g.resources.Functions, "lambda:GetFunction", "lambda:UpdateFunctionCode")
	if g.resources.Aliased {
		g.publish()
		g.readAlias()
		g.onAliases("lambda:CreateAlias", "lambda:UpdateAlias")
	}
}

// awaitStack allows to see whether the stack that the contract names is being changed.
func (g *grants) awaitStack() {
	if !g.resources.WithoutContract {
		g.on("Stack", one(g.resources.Stack), "cloudformation:DescribeStacks")
	}
}

// publish allows to publish versions, and to wait until they can be used.
func (g *grants) publish() {
	g.on("Functions", g.resources.Functions, "lambda:PublishVersion")
	g.on("Versions", g.versions(), "lambda:GetFunction")
}

func (g *grants) readAlias() {
	g.on("Versions", g.versions(), "lambda:GetFunction")
	g.onAliases("lambda:GetAlias")
}

// onAliases allows actions on the functions' aliases. The service authorization
// reference has them on functions, which may be named by an alias's ARN as well, and
// does not say which of the two Lambda asks about: so both are allowed
// (https://docs.aws.amazon.com/service-authorization/latest/reference/list_awslambda.html).
func (g *grants) onAliases(actions ...string) {
	g.on("Functions", g.resources.Functions, actions...)
	g.on("Versions", g.versions(), actions...)
}

func (g *grants) readStatus() {
	g.readTag()
	g.readImages()
	g.on("Functions", g.resources.Functions, "lambda:GetFunction")
	if g.resources.Aliased {
		g.readAlias()
	}
}
