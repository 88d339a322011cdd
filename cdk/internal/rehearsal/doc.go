// Package rehearsal tests what calls AWS against the local endpoint. It is apart from
// what it tests, so that a user's module does not get to know the endpoint's modules.
package rehearsal
