package policy

// Resources are the ARNs of one handoff's resources, and what decides which of them
// are asked. "" stands for one that there is not.
type Resources struct {
	TagParameter string
	Contract     string // parameter
	Repository   string
	Functions    []string // without a qualifier
	Stack        string   // that the contract names

	// WithoutContract: flags say all that the contract could, so that only the commands
	// read it that are about it.
	WithoutContract bool
	// Aliased: releases move an alias of the functions.
	Aliased bool
	// ArchitectureUnknown: neither the contract nor a flag says the functions'
	// architecture, so that the functions are asked.
	ArchitectureUnknown bool
	// RepositoryByName: a flag names the repository, in place of the contract's URI,
	// so that ECR is asked for its address.
	RepositoryByName bool
}

// Options are what a command is asked to do beyond what it always does. A command
// leaves those aside that are not for it.
type Options struct {
	Push    bool // release pushes its image: --image
	Smoke   bool // release invokes the functions: --smoke
	Publish bool // release publishes versions of functions without an alias: --publish
	Several bool // status is asked of several handoffs at once, whose parameters it reads ten a call, else one by one
	Deep    bool // doctor looks deep: --deep
	Seed    bool // resolve and reconcile put the built-in placeholder into ECR, where there is nothing else to run
}

// Command is a command of the command line, and what it needs.
type Command struct {
	Name       string // as it is typed, without the handoff
	Statements func(Resources, Options) []Statement
}

// Commands returns the commands that work on one handoff.
func Commands() []Command {
	return []Command{
		{"release", Release},
		{"rollback", Rollback},
		{"register", Register},
		{"reconcile", Reconcile},
		{"resolve", Resolve},
		{"resolve --tag-only", ResolveTagOnly},
		{"seed", Seed},
		{"status", Status},
		{"doctor", Doctor},
		{"history", History},
		{"contract", Contract},
		{"contract --write", WriteContract},
	}
}

// Release allows to try an image on the functions, to register it and to reconcile.
func Release(r Resources, o Options) []Statement {
	g := r.found()
	g.readTag()
	g.writeTag()
	g.readImages()
	g.protect()
	g.moveFunctions()
	g.awaitStack()
	if o.Push {
		g.push()
	}
	if o.Publish {
		g.publish()
	}
	if o.Smoke {
		if r.Aliased || o.Publish {
			g.on("Versions", g.versions(), "lambda:InvokeFunction")
		} else {
			g.on("Functions", r.Functions, "lambda:InvokeFunction")
		}
	}
	return Merge(g.statements)
}

// Rollback allows to register an earlier release and to reconcile.
func Rollback(r Resources, _ Options) []Statement { return Release(r, Options{}) }

// Register allows to verify an image in ECR and to write the tag parameter.
func Register(r Resources, _ Options) []Statement {
	g := r.found()
	g.readTag()
	g.writeTag()
	g.readImages()
	g.askArchitecture()
	return Merge(g.statements)
}

// Reconcile allows to make the functions run the registered image.
func Reconcile(r Resources, o Options) []Statement {
	g := r.found()
	g.readTag()
	g.readImages()
	g.protect()
	g.moveFunctions()
	g.awaitStack()
	if o.Seed {
		g.upload()
	}
	return Merge(g.statements)
}

// Resolve allows to find the image that the functions should run.
func Resolve(r Resources, o Options) []Statement {
	g := r.found()
	g.readTag()
	g.readImages()
	g.on("Functions", r.Functions, "lambda:GetFunction")
	if o.Seed {
		g.upload()
	}
	return Merge(g.statements)
}

// ResolveTagOnly allows to read the tag parameter together with others'.
func ResolveTagOnly(r Resources, _ Options) []Statement {
	g := grants{resources: r}
	g.on("TagParameter", one(r.TagParameter), "ssm:GetParameters")
	return Merge(g.statements)
}

// Seed allows to put the placeholder into ECR.
func Seed(r Resources, _ Options) []Statement {
	g := r.found()
	g.readImages()
	g.askArchitecture()
	g.push()
	return Merge(g.statements)
}

// Status allows to read what is registered and what runs.
func Status(r Resources, o Options) []Statement {
	g := r.found()
	g.readStatus()
	if o.Several {
		g.on("Contract", one(r.Contract), "ssm:GetParameters")
		g.on("TagParameter", one(r.TagParameter), "ssm:GetParameters")
	}
	return Merge(g.statements)
}

// Doctor allows to read all that may go wrong with a handoff.
func Doctor(r Resources, o Options) []Statement {
	g := r.found()
	g.readStatus()
	g.on("Repository", one(r.Repository), "ecr:DescribeRepositories", "ecr:GetLifecyclePolicy")
	if o.Deep {
		g.statements = append(g.statements, login())
		g.on("Repository", one(r.Repository), "ecr:DescribeImages", "ecr:GetRepositoryPolicy")
	}
	return Merge(g.statements)
}

// History allows to read what was registered before.
func History(r Resources, _ Options) []Statement {
	g := r.found()
	g.on("TagParameter", one(r.TagParameter), "ssm:GetParameterHistory")
	return Merge(g.statements)
}

// Contract allows to read the contract.
func Contract(r Resources, _ Options) []Statement {
	g := grants{resources: r}
	g.on("Contract", one(r.Contract), "ssm:GetParameter")
	return Merge(g.statements)
}

// WriteContract allows to write the contract from flags over the one that is there.
func WriteContract(r Resources, _ Options) []Statement {
	g := r.found()
	g.on("Contract", one(r.Contract), "ssm:GetParameter", "ssm:PutParameter")
	g.askArchitecture()
	return Merge(g.statements)
}

// List allows what the commands need that find handoffs by their contracts: status
// without a handoff, and names that end in '/'. The ARN is that of the path which
// contracts lie under, as in arn:aws:ssm:REGION:ACCOUNT:parameter/tasuki. What is then
// done with each handoff is not part of it.
func List(path string) []Statement {
	// With and without the slash that the path is asked for with: it is not documented
	// which of the two is authorized.
	return []Statement{{Sid: "Contracts", Actions: []string{"ssm:GetParametersByPath"}, Resources: []string{path, path + "/"}}}
}
