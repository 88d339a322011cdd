package tasuki

import (
	"context"
	"io"
	"time"
)

// TagReader reads tag parameters.
type TagReader interface {
	// ReadTag returns the parameter's current version with its description. It
	// returns ErrMissing when SSM answers ParameterNotFound, once: to read again is
	// the caller's business. The description always belongs to the version.
	ReadTag(ctx context.Context, name ParameterName) (ParameterVersion, error)
}

// TagHistory reads what a tag parameter held.
type TagHistory interface {
	// TagHistory returns the versions that SSM keeps (100 at most), newest first,
	// or ErrMissing.
	TagHistory(ctx context.Context, name ParameterName) ([]ParameterVersion, error)
}

// TagWriter writes tag parameters.
type TagWriter interface {
	// WriteTag writes value and description in one call, whether or not the
	// parameter exists, and returns the version that SSM gave it. Where an answer
	// was lost (ErrUnavailable, or ErrConflict of a retry), it may have been written,
	// and twice.
	WriteTag(ctx context.Context, name ParameterName, value Tag, description string) (version int64, err error)
}

// TagBatchReader reads many tag parameters at once.
type TagBatchReader interface {
	// ReadTags returns the current versions of the parameters, without their
	// descriptions. One that SSM does not know is absent from the map; that may be a
	// stale answer.
	ReadTags(ctx context.Context, names ...ParameterName) (map[ParameterName]ParameterVersion, error)
}

// Tags is all that the protocol does with tag parameters.
type Tags interface {
	TagReader
	TagHistory
	TagWriter
}

// Contracts keeps contracts.
type Contracts interface {
	// ReadContract returns the handoff's contract, or ErrMissing.
	ReadContract(ctx context.Context, handoff HandoffName) (Contract, error)
	// WriteContract writes a contract over the one that is there.
	WriteContract(ctx context.Context, contract Contract) error
	// ListContracts returns every contract in the account and region, sorted by handoff.
	ListContracts(ctx context.Context) ([]Contract, error)
}

// ContractBatchReader reads many contracts at once.
type ContractBatchReader interface {
	// ReadContracts returns the contracts of the handoffs. One that SSM does not know,
	// which may be a stale answer, and one that is malformed are absent from the map:
	// [FindContract] says what is the matter with them.
	ReadContracts(ctx context.Context, handoffs ...HandoffName) (map[HandoffName]Contract, error)
}

// Images reads what ECR repositories hold.
type Images interface {
	// Manifests returns, in one round trip, the manifests behind refs (100 at
	// most). A ref that the repository does not hold is absent from the map. It
	// returns ErrMissing when there is no such repository.
	Manifests(ctx context.Context, repository Repository, refs ...Ref) (map[Ref]Manifest, error)
	// Config returns an image's configuration, the blob that config describes.
	Config(ctx context.Context, repository Repository, config Descriptor) ([]byte, error)
}

// Repositories reads how ECR repositories are set up.
type Repositories interface {
	// RepositorySettings returns a repository's settings, or ErrMissing.
	RepositorySettings(ctx context.Context, repository Repository) (RepositorySettings, error)
}

// RepositorySettings is how an ECR repository is set up, in ECR's own words.
type RepositorySettings struct {
	Mutability      string   // MUTABLE, IMMUTABLE, …_WITH_EXCLUSION
	Exclusions      []string // wildcard filters of tags that the mutability excludes
	LifecyclePolicy string   // JSON; "" for none
	Encryption      string   // AES256, KMS or KMS_DSSE
	KMSKey          string   // ARN; "" where it is not KMS that encrypts
}

// RepositoryPolicies reads who may do what with ECR repositories.
type RepositoryPolicies interface {
	// RepositoryPolicy returns a repository's policy, JSON of IAM's form, or "" for
	// none; ErrMissing where there is no repository.
	RepositoryPolicy(ctx context.Context, repository Repository) (string, error)
}

// StoredImages reads how ECR keeps images.
type StoredImages interface {
	// StoredImages describes images, archived ones too. One that the repository does
	// not hold is absent from the map. It returns ErrMissing when there is no such
	// repository.
	StoredImages(ctx context.Context, repository Repository, digests ...Digest) (map[Digest]StoredImage, error)
}

// StoredImage is how ECR keeps an image.
type StoredImage struct {
	Status string   // ACTIVE, ARCHIVED or ACTIVATING, in ECR's own words
	Tags   []string // all that name it
}

// Layers opens an image's layers.
type Layers interface {
	// Layer opens a layer as it is stored. Reading fails before the end where it is not
	// what its descriptor says, with an error of kind ErrInvalid; other errors are not
	// about the image.
	Layer(ctx context.Context, layer Descriptor) (io.ReadCloser, error)
}

// RepositoryLayers opens the layers of images in ECR repositories.
type RepositoryLayers interface {
	// LayersOf returns what opens the layers in a repository.
	LayersOf(ctx context.Context, repository Repository) (Layers, error)
}

// ImageTagger tags images that ECR has.
type ImageTagger interface {
	// TagImage moves tag to an image of the repository. It returns ErrConflict where
	// the tag is immutable and names another image.
	TagImage(ctx context.Context, repository Repository, manifest Manifest, tag Tag) error
}

// ImageSource is an image from outside the handoff's repository: one that a
// release brings along, or the placeholder.
type ImageSource interface {
	// String names the source as it was given, without credentials.
	String() string
	// Inspect returns what Lambda would run of it on arch.
	Inspect(ctx context.Context, arch Architecture) (Image, error)
	// Push puts image, which Inspect returned, into the repository under tag, its
	// manifest's bytes verbatim. It converges: what is there is not sent again. It
	// returns ErrConflict when an immutable tag names another image.
	Push(ctx context.Context, image Image, repository Repository, tag Tag) error
}

// FunctionReader reads functions.
type FunctionReader interface {
	// Function returns a function's unpublished version, or, where the name ends in
	// ":version", that one; or ErrMissing.
	Function(ctx context.Context, name string) (Function, error)
}

// FunctionUpdater changes functions' code, and nothing else of them.
type FunctionUpdater interface {
	FunctionReader
	// UpdateCode starts an update and returns without waiting for its end. It
	// returns ErrConflict when the function has changed since update.RevisionID was
	// read, or is being changed.
	UpdateCode(ctx context.Context, update CodeUpdate) (Function, error)
}

// VersionPublisher publishes versions of functions and moves aliases to them.
type VersionPublisher interface {
	// PublishVersion publishes the function's code as a version and returns its
	// number: a new one, or the last one where nothing has changed since. It returns
	// ErrConflict when the function is not the one of revisionID any more, or its
	// image not the one of digest. The version may still be pending.
	PublishVersion(ctx context.Context, function string, digest Digest, revisionID string) (version string, err error)
	// Alias returns where an alias points to, or ErrMissing.
	Alias(ctx context.Context, function, alias string) (Alias, error)
	// MoveAlias points an alias to a version, and creates it where move.RevisionID is
	// "". It returns ErrConflict when the alias has changed since, or exists.
	MoveAlias(ctx context.Context, move AliasMove) error
}

// Alias is where a function's alias points to.
type Alias struct {
	Version     string // number, or $LATEST
	RevisionID  string
	Description string // that it was created with
}

// AliasMove asks for an alias to be pointed to a version.
type AliasMove struct {
	Function   string
	Alias      string
	Version    string
	RevisionID string // of the alias as it was when the move was decided; "" to create it

	Description string // given to an alias that is created; a move leaves it as it is
}

// AliasDeleter deletes aliases of functions.
type AliasDeleter interface {
	// DeleteAlias deletes an alias. That there is none, or no such function, is no error.
	DeleteAlias(ctx context.Context, function, alias string) error
}

// StackReader reads how CloudFormation stacks stand.
type StackReader interface {
	// StackStatus returns the status of the stack of that name or id, in
	// CloudFormation's own words, or ErrMissing. Of a stack that was deleted,
	// CloudFormation knows the id, and the status DELETE_COMPLETE, for 90 days.
	StackStatus(ctx context.Context, stack string) (string, error)
}

// Stacks reads CloudFormation stacks.
type Stacks interface {
	StackReader
	// StackResource returns the physical id of a resource, or ErrMissing where the
	// stack has no such resource or has not created it yet.
	StackResource(ctx context.Context, stack, logicalID string) (physicalID string, err error)
}

// EventSources switches what Lambda polls for functions.
type EventSources interface {
	// EnableEventSource lets Lambda poll an event source again, and reports whether it
	// did not before; or ErrMissing. The mapping may still be on its way when it returns.
	EnableEventSource(ctx context.Context, uuid string) (changed bool, err error)
}

// Secrets reads secrets.
type Secrets interface {
	// Secret returns the text of a secret by its name or ARN, or ErrMissing.
	Secret(ctx context.Context, id string) (string, error)
}

// Invoker invokes functions.
type Invoker interface {
	// Invoke invokes a version of a function, "" for the unpublished one, and waits
	// for the answer. A function that fails is an answer, not an error.
	Invoke(ctx context.Context, function, version string, payload []byte) (Answer, error)
}

// Answer is what a function answered.
type Answer struct {
	Payload []byte
	Failure string // Lambda's FunctionError, as in Unhandled; "" where the function succeeded
}

// CodeUpdate asks for another image to be put into a function.
type CodeUpdate struct {
	Function     string
	Image        ImageURI     // by digest
	Architecture Architecture // the live one: Lambda takes x86_64 where none is sent
	RevisionID   string       // of the function as it was when the update was decided
}

// Function is a Lambda function, one version of it, as far as the protocol is
// concerned with it. Its enumerations are Lambda's own words.
type Function struct {
	Name             string
	ARN              string
	PackageType      string // Image or Zip
	ImageURI         string // as it was given to Lambda
	Repository       string // of the image that runs, in full
	Digest           Digest // of the image that runs
	Architecture     Architecture
	RevisionID       string
	State            string // Pending, Active, Inactive, Failed, …
	StateReason      string
	StateReasonCode  string
	UpdateStatus     string // Successful, InProgress, Failed
	UpdateReason     string
	UpdateReasonCode string
	Modified         time.Time
	Settings         *ImageSettings // nil where it leaves those of its image
}

// ImageSettings is what a function puts in the place of its image's own configuration
// (Lambda's ImageConfig). What is empty leaves the image's.
type ImageSettings struct {
	EntryPoint       []string
	Command          []string
	WorkingDirectory string
}

// Updating reports whether the function is being created or changed, so that
// Lambda refuses another change now.
func (f Function) Updating() bool {
	return f.State == "Pending" || f.UpdateStatus == "InProgress"
}

// Severity says what a finding means for the image.
type Severity string

// The severities of a finding.
const (
	SeverityError   Severity = "error"   // Lambda refuses the image, or cannot run it
	SeverityWarning Severity = "warning" // Lambda may refuse it, or something else may surprise
)

// Finding is what one of Lambda's rules says of an image.
type Finding struct {
	Rule     string   `json:"rule"` // short and stable, as in "wrong-architecture"
	Severity Severity `json:"severity"`
	Subject  string   `json:"subject,omitempty"` // the image that it is about, where a doctor looks at several
	Summary  string   `json:"summary"`           // one sentence: what is wrong, with what
	Fix      string   `json:"fix"`               // one sentence: what to do
}

// Rules judges whether Lambda will run an image on an architecture.
type Rules func(image Image, arch Architecture) []Finding

// ContentRules judges what is in an image's layers, for functions of architecture arch
// that may run it, each with its own settings. It reads all of the layers. An error is
// one of reading them that is not about the image.
type ContentRules func(ctx context.Context, image Image, arch Architecture, functions []Function, layers Layers) (Contents, error)

// Contents is what is in an image's layers.
type Contents struct {
	Size     int64 // bytes, uncompressed, as far as they were read
	Findings []Finding
}

// Event is something that a person following a verb would want to read.
type Event struct {
	Handoff HandoffName
	Warning bool
	Text    string // a sentence, without a full stop
}

// Observer is told of events as they happen, by several goroutines at once; nil for
// nobody. It must not block.
type Observer func(Event)
