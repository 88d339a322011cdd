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

// in returns the directory of that path below n, the root of a layer, made where it is
// not there. A link of the layer's own on the way is followed, as unpackers do.
func (n *node) in(dir string, keep func(text int) error) (*node, error) {
	way := []*node{n}
	for w := newWalk(dir); w.next(); {
		at := way[len(way)-1]
		if w.part == ".." {
			way = way[:max(1, len(way)-1)]
			continue
		}
		child := at.children[w.part]
		switch {
		case child != nil && child.kind == symlink && w.follow(child.target):
			if path.IsAbs(child.target) {
				way = way[:1]
			}
			continue
		case child == nil || child.kind != directory:
			if err := keep(len(w.part)); err != nil {
				return nil, err
			}
			child = newDirectory()
			at.put(w.part, child)
		}
		way = append(way, child)
	}
	return way[len(way)-1], nil
}

// walk is a way along a path, part by part, through links.
type walk struct {
	part  string
	left  []string
	links int
	steps int
}

func newWalk(path string) *walk { return &walk{left: strings.Split(path, "/")} }

const (
	// mostLinks is how many symbolic links may lie on one way (Linux, path_resolution(7)).
	mostLinks = 40
	// mostSteps is how many parts one way may have, those of its links included: twice
	// what a path of PATH_MAX has. The kernel knows no such limit; a way that is longer was
	// made to take time.
	mostSteps = longestPath
)

// next goes to the next part, and reports whether there is one.
func (w *walk) next() bool {
	for len(w.left) > 0 && w.steps < mostSteps {
		w.part, w.left = w.left[0], w.left[1:]
		if w.steps++; w.part != "" && w.part != "." {
			return true
		}
	}
	return false
}

// follow puts what a link points to before what is left, unless there were too many links.
func (w *walk) follow(target string) bool {
	if w.links++; w.links > mostLinks {
		return false
	}
	w.left = append(strings.Split(target, "/"), w.left...)
	return true
}

// ended reports whether nothing is left of the way.
func (w *walk) ended() bool { return len(w.left) == 0 }

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

// find returns what is at a path below n, links followed, or nil. Blocked is a directory
// on the way that not every user may enter, "" for none.
func (n *node) find(name string) (found *node, blocked string) {
	way, names := []*node{n}, []string{""}
	w := newWalk(name)
	for w.next() {
		at := way[len(way)-1]
		if w.part == ".." {
			last := max(1, len(way)-1)
			way, names = way[:last], names[:last]
			continue
		}
		child := at.children[w.part]
		if child == nil {
			return nil, ""
		}
		if at.mode&0o001 == 0 && blocked == "" {
			blocked = path.Join("/", strings.Join(names, "/"))
		}
		if child.kind != symlink {
			way, names = append(way, child), append(names, w.part)
			continue
		}
		if !w.follow(child.target) {
			return nil, ""
		}
		if path.IsAbs(child.target) {
			way, names = way[:1], names[:1]
		}
	}
	if !w.ended() {
		return nil, ""
	}
	return way[len(way)-1], blocked
}
