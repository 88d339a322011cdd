package image

// InRanges returns o for a source whose layers from worth bytes on are read in ranges of
// so many bytes each, where those of 64 MiB are read in ranges of 4 MiB otherwise.
func (o OpenOptions) InRanges(worth, each int64) OpenOptions {
	o.portions = portions{worth, each}
	return o
}
