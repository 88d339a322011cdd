package customresource

// Image resolves the image that a handoff's functions are created with. It has what
// replaces a function, and nothing that changes from day to day: CloudFormation then
// never sees a difference, and neither a deploy nor a rollback moves the code.
type Image struct {
	Handoff        string
	Repository     string // in full, as in 111122223333.dkr.ecr.eu-west-1.amazonaws.com/orders
	TagParameter   string
	PlaceholderTag string
	Placeholder    string `json:",omitempty"` // reference of the image to use as placeholder; "" for the built-in one
	Architecture   string // x86_64 or arm64
	Functions      []ImageFunction

	// Nonce differs at each deploy where the image is to be resolved at each; "" elsewhere.
	Nonce string `json:",omitempty"`
}

// PropertyNonce is the one property whose change says nothing of what a resource is about.
const PropertyNonce = "Nonce"

// ImageFunction is a function of the same stack that is to run the image. It is named
// by its logical id, as plain text: a reference would be a cycle.
type ImageFunction struct {
	LogicalID string
	Name      string `json:",omitempty"` // where the user has given one; a change of it replaces the function
}

// The attributes of an [Image].
const (
	AttributeDigest    = "Digest"    // sha256:…
	AttributeDigestHex = "DigestHex" // the digest without its algorithm
	AttributeImageURI  = "ImageUri"  // by digest
	AttributeTag       = "Tag"       // "" where the image is known by its digest alone
	AttributeOrigin    = "Origin"    // parameter, function or placeholder
)

// Placeholder puts a placeholder into a repository, unless its tag is taken.
type Placeholder struct {
	Handoff      string `json:",omitempty"` // named by the built-in one's answers; "" for the repository's name
	Repository   string
	Tag          string
	Source       string `json:",omitempty"` // reference of the image; "" for the built-in one
	Architecture string
}

// Its attributes are AttributeDigest, AttributeDigestHex and AttributeImageURI (by tag).

// Alias is an alias that releases move: it is created on the function as it is, and
// left alone afterwards but for its deletion. Where the function's name or the alias's
// changes, another alias takes its place.
type Alias struct {
	Handoff  string
	Function string // name
	Alias    string
}

// The attributes of an [Alias].
const (
	AttributeAliasARN = "AliasArn"
	AttributeVersion  = "Version" // that it pointed to when the resource was last changed
)

// Deployment puts an image into an ECR repository.
type Deployment struct {
	Source       string // reference, as in docker://docker.io/library/nginx:1.29 or s3://bucket/key
	SourceSecret string `json:",omitempty"` // ARN of the Secrets Manager secret with the source's credentials
	Destination  string // repository in full
	Tag          string `json:",omitempty"` // "" to leave the image untagged, known by its digest
	Architecture string `json:",omitempty"` // of the child to take of an index; "" takes the index as it is
	ForLambda    string `json:",omitempty"` // [True] to refuse what Lambda would
}

// The attributes of a [Deployment] are AttributeDigest, AttributeDigestHex and AttributeImageURI.
