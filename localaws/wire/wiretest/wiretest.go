// Package wiretest serves one service of the local endpoint over HTTP, for tests that
// need no more of the endpoint.
package wiretest

import (
	"io"
	"maps"
	"net/http"

	"github.com/tasuki-dev/tasuki/localaws/wire"
)

// Handler does the least of what the endpoint's dispatcher does: it reads a request,
// lets the service answer it, and writes the answer.
func Handler(service wire.Service) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		scope := wire.SignatureScope(r)
		request := &wire.Request{HTTP: r, Body: body, ID: wire.NewID(), Service: scope.Service, Region: scope.Region, Principal: wire.Principal(r)}
		operation, provided := service.Operation(request)
		answer := service.Fail(request, wire.NotProvided(service.Name(), operation))
		if provided {
			answer = service.Serve(wire.WithRequest(r.Context(), request), operation, request)
		}
		maps.Copy(w.Header(), answer.Header)
		w.WriteHeader(answer.Status)
		_, _ = w.Write(answer.Body) // a client that hung up needs no answer
	})
}
