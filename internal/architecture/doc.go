// Package architecture holds the rules on which package may import which, as tests.
package architecture
