package tasuki

import (
	"regexp"
	"sync"
)

// grammar returns what compiles expression when it is first needed: to compile them all
// would cost every start of a program that links the package a millisecond.
func grammar(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
