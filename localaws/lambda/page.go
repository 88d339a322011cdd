package lambda

import (
	"iter"
	"net/url"
	"strconv"
)

// longestPage is how many items a list answers at most.
const longestPage = 50

// paged returns the page of items that a list's query asks for, and the marker of
// the next one, nil for none. The items come in the order of their keys, which are
// the markers.
func paged[T any](query url.Values, items iter.Seq2[string, T]) (page []T, next *string, err error) {
	longest := longestPage
	if given := query.Get("MaxItems"); given != "" {
		n, err := strconv.Atoi(given)
		if err != nil || n < 1 {
			return nil, nil, constraint(given, "maxItems", "have value greater than or equal to 1")
		}
		longest = min(n, longestPage)
	}
	last := query.Get("Marker")
	for key, item := range items {
		if key <= last {
			continue
		}
		if len(page) == longest {
			return page, &last, nil
		}
		page, last = append(page, item), key
	}
	return page, nil, nil
}
