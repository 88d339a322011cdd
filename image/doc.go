// Package image opens a container image wherever it is, and copies it into a
// registry without changing a byte of it.
//
// [Open] takes the references that skopeo and podman take:
//
//	docker://HOST/NAME[:TAG|@DIGEST]   a registry, as Docker would find it
//	docker-daemon:NAME[:TAG]           Docker Engine or Podman, by name or by ID
//	oci:PATH[:TAG|@DIGEST]             an OCI image layout
//	oci-archive:FILE[:TAG|@DIGEST]     a tar archive of one
//	docker-archive:FILE[:NAME:TAG]     what docker save writes
//	s3://BUCKET/KEY[:TAG|@DIGEST]      an archive of either kind in Amazon S3
//
// [Memory] makes a source of an image that the program brings along. A [Source]
// is read with [Source.Inspect] and copied with [Registry.Push]; [Release] binds source
// and registry together as a [tasuki.ImageSource]. [OpenDestination] takes docker://,
// oci:, oci-archive: and docker-archive:, with a tag or a name and no digest, to copy to
// with [Destination.Copy].
//
// Nothing that is read is trusted. Every manifest and blob must have the digest
// that led to it, which the destination sees to for blobs that go from registry to
// registry. Archives are refused where they point outside themselves. Manifests and
// configurations are held in memory, [MaxDocument] bytes each; layers are streamed,
// and a large one that comes in several streams has 4 MiB of memory for each. Errors
// are of type [*tasuki.Error], tell the source from the destination, and carry no
// credential and no query of a URL.
package image
