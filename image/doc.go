// Package image opens a container image wherever it is, and copies it into a
// registry without changing a byte of it.
//
// [Open] takes the references that skopeo and podman take:
//
//	docker://HOST/NAME[:TAG|@DIGEST]   a registry, as Docker would find it
//	oci:PATH[:TAG|@DIGEST]             an OCI image layout
//	oci-archive:FILE[:TAG|@DIGEST]     a tar archive of one
//	docker-archive:FILE[:NAME:TAG]     what docker save writes
//
// [Memory] makes a source of an image that the program brings along. A [Source]
// is read with [Source.Inspect] and copied with [Registry.Push]; [Release] binds
// both together as a [tasuki.ImageSource].
//
// Nothing that is read is trusted. Every manifest and blob must have the digest
// that led to it, archives are refused where they point outside themselves, and
// only manifests and configurations are held in memory, [MaxDocument] bytes each.
// Layers are streamed. Errors are of type [*tasuki.Error], tell the source from
// the destination, and carry no credential and no query of a URL.
package image
