package main

import (
	"encoding/json"
	"testing"
)

func TestTake(t *testing.T) {
	for event, want := range map[string]string{
		`{"item":"tea","quantity":2}`: `{"message":"2 × tea is on its way","version":"unreleased"}`,
		`{"quantity":2}`:              "the order names no item",
		`{"item":"tea","quantity":0}`: "the order is for 0 of tea: the least is 1",
	} {
		var o order
		if err := json.Unmarshal([]byte(event), &o); err != nil {
			t.Fatal(err)
		}
		got := ""
		c, err := take(t.Context(), o)
		if err != nil {
			got = err.Error()
		} else if b, err := json.Marshal(c); err != nil {
			t.Fatal(err)
		} else {
			got = string(b)
		}
		if got != want {
			t.Errorf("order %s: got %s, want %s", event, got, want)
		}
	}
}
