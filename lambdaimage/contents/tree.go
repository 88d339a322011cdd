package contents

import (
	"path"
	"strings"
)

// kind is what a node is.
type kind uint8

const (
	directory kind = iota
	regular
	symlink
	other // a device, a pipe
)

// node is a file or a directory of an image, or of one of its layers.
type node struct {
	kind    kind
	mode    uint16 // permission bits
	implied bool   // a directory that a layer has only as the parent of another file
	target  string // of a symbolic link
	program *program

	children map[string]*node
	// What a layer takes away of those below it (OCI image specification 1.1,
	// "Representing Changes").
	removed []string
	opaque  bool
}

// newDirectory returns a directory as unpacking makes one that is not in the archive.
func newDirectory() *node { return &node{kind: directory, mode: 0o755, implied: true} }

// in returns the directory of that path below n, made where it is not there.
func (n *node) in(dir string) *node {
	for name := range strings.SplitSeq(dir, "/") {
		if name == "" || name == "." {
			continue
		}
		child := n.children[name]
		if child == nil || child.kind != directory {
			child = newDirectory()
			n.put(name, child)
		}
		n = child
	}
	return n
}

func (n *node) put(name string, child *node) {
	if n.children == nil {
		n.children = map[string]*node{}
	}
	// A directory may come after what is in it.
	if before := n.children[name]; before != nil && before.kind == directory && child.kind == directory {
		child.children, child.removed, child.opaque = before.children, before.removed, before.opaque
	}
	n.children[name] = child
}

// lay puts a layer over n, the root of those below.
func (n *node) lay(layer *node) { n.merge(n, "", layer) }

// merge puts a layer's directory over n, which lies at a path below root.
func (n *node) merge(root *node, at string, layer *node) {
	if !layer.implied {
		n.mode = layer.mode
	}
	if layer.opaque {
		n.children = nil
	}
	for _, name := range layer.removed {
		delete(n.children, name)
	}
	for name, child := range layer.children {
		way := at + "/" + name
		below := n.children[name]
		if below != nil && below.kind == symlink && child.implied {
			below, _ = root.find(way) // the files are unpacked through the link
		}
		if child.kind != directory || below == nil || below.kind != directory {
			below = &node{kind: child.kind, mode: child.mode, target: child.target, program: child.program}
			n.put(name, below)
		}
		if child.kind == directory {
			below.merge(root, way, child)
		}
	}
}

// mostLinks is how many symbolic links may lie on one way (Linux, path_resolution(7)).
const mostLinks = 40

// find returns what is at a path below n, links followed, or nil. Blocked is a directory
// on the way that not every user may enter, "" for none.
func (n *node) find(name string) (found *node, blocked string) {
	way, names := []*node{n}, []string{""}
	left, links := strings.Split(name, "/"), 0
	for len(left) > 0 {
		part, at := left[0], way[len(way)-1]
		left = left[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(way) > 1 {
				way, names = way[:len(way)-1], names[:len(names)-1]
			}
			continue
		}
		child := at.children[part]
		if child == nil {
			return nil, ""
		}
		if at.mode&0o001 == 0 && blocked == "" {
			blocked = path.Join("/", strings.Join(names, "/"))
		}
		if child.kind != symlink {
			way, names = append(way, child), append(names, part)
			continue
		}
		if links++; links > mostLinks {
			return nil, ""
		}
		if path.IsAbs(child.target) {
			way, names = way[:1], names[:1]
		}
		left = append(strings.Split(child.target, "/"), left...)
	}
	return way[len(way)-1], blocked
}
