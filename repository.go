package tasuki

import "strings"

// Repository is an ECR repository: its registry's host and its name. The zero
// Repository is none.
type Repository struct{ host, name string }

// The hosts that ECR answers under, from AWS's endpoint lists: the plain and the
// FIPS one, China's, the European Sovereign Cloud's, and the dual-stack ones.
var (
	ecrHost        = grammar(`^([0-9]{12})\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.(?:com|com\.cn|eu)|on\.aws|on\.amazonwebservices\.(?:com\.cn|eu))$`)
	repositoryName = grammar(`^[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*$`)
)

// ParseRepository returns the ECR repository that s names in full, as in
// "123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders".
func ParseRepository(s string) (Repository, error) {
	host, name, found := strings.Cut(s, "/")
	if !found || !ecrHost().MatchString(host) {
		return Repository{}, invalid("%s is not an ECR repository: give it as ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME", quote(s))
	}
	if err := CheckRepositoryName(name); err != nil {
		return Repository{}, err
	}
	return Repository{host, name}, nil
}

// CheckRepositoryName returns one sentence on why name cannot be the name of an
// ECR repository, or nil. The limits are CreateRepository's.
func CheckRepositoryName(name string) error {
	if len(name) < 2 || len(name) > 256 || !repositoryName().MatchString(name) {
		return invalid("%s is not the name of an ECR repository: it has 2 to 256 lower-case letters, digits, and single '.', '_', '-' or '/' between them", quote(name))
	}
	return nil
}

// RegionDomain returns the domain that AWS's services have in a region, as
// "amazonaws.com": China and the European Sovereign Cloud have their own (AWS's
// endpoint lists).
func RegionDomain(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "amazonaws.com.cn"
	case strings.HasPrefix(region, "eusc-"):
		return "amazonaws.eu"
	}
	return "amazonaws.com"
}

// Host returns the registry's host, as it stands in image URIs.
func (r Repository) Host() string { return r.host }

// Name returns the repository's name within its registry.
func (r Repository) Name() string { return r.name }

// Account returns the AWS account that the registry belongs to.
func (r Repository) Account() string {
	account, _, _ := strings.Cut(r.host, ".")
	return account
}

// Region returns the AWS region that the registry is in.
func (r Repository) Region() string {
	if m := ecrHost().FindStringSubmatch(r.host); m != nil {
		return m[2]
	}
	return ""
}

// IsZero reports whether r is no repository.
func (r Repository) IsZero() bool { return r == Repository{} }

// String returns the repository in full, without a tag or digest.
func (r Repository) String() string {
	if r.IsZero() {
		return ""
	}
	return r.host + "/" + r.name
}

// MarshalText implements encoding.TextMarshaler.
func (r Repository) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler by way of [ParseRepository];
// the empty text is the zero Repository.
func (r *Repository) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*r = Repository{}
		return nil
	}
	*r, err = ParseRepository(string(b))
	return err
}

// Ref names an image within a repository, by tag or by digest. It is comparable;
// exactly one of its members is set.
type Ref struct {
	tag    Tag
	digest Digest
}

// ByTag returns the Ref of a tag.
func ByTag(t Tag) Ref { return Ref{tag: t} }

// ByDigest returns the Ref of a digest.
func ByDigest(d Digest) Ref { return Ref{digest: d} }

// Tag returns the tag, or the zero Tag.
func (r Ref) Tag() Tag { return r.tag }

// Digest returns the digest, or the zero Digest.
func (r Ref) Digest() Digest { return r.digest }

// String returns the tag or the digest.
func (r Ref) String() string { return r.tag.s + r.digest.s }

// ImageURI names one image in ECR in the form that Lambda takes.
type ImageURI struct {
	Repository Repository
	Ref        Ref
}

// ParseImageURI returns the image that s names, as in "…amazonaws.com/orders:v1"
// or "…amazonaws.com/orders@sha256:…". A name with both is refused: Lambda takes
// one or the other.
func ParseImageURI(s string) (ImageURI, error) {
	if repository, digest, found := strings.Cut(s, "@"); found {
		r, err := ParseRepository(repository)
		if err != nil {
			return ImageURI{}, err
		}
		d, err := ParseDigest(digest)
		if err != nil {
			return ImageURI{}, err
		}
		return ImageURI{r, ByDigest(d)}, nil
	}
	repository, tag, found := strings.Cut(s, ":")
	if !found {
		return ImageURI{}, invalid("%s names no tag and no digest", quote(s))
	}
	r, err := ParseRepository(repository)
	if err != nil {
		return ImageURI{}, err
	}
	t, err := ParseTag(tag)
	if err != nil {
		return ImageURI{}, err
	}
	return ImageURI{r, ByTag(t)}, nil
}

// String returns the URI that UpdateFunctionCode takes.
func (u ImageURI) String() string {
	switch {
	case u.Repository.IsZero():
		return ""
	case !u.Ref.digest.IsZero():
		return u.Repository.String() + "@" + u.Ref.digest.s
	default:
		return u.Repository.String() + ":" + u.Ref.tag.s
	}
}
