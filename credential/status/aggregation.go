package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"

	"github.com/sanad-id/sanad/internal/strict"
)

// maxAggregation is how many lists an aggregation document may name.
const maxAggregation = 20_000

// MarshalAggregation returns the aggregation document (section 9.3 of the
// draft) that names these lists.
func MarshalAggregation(uris []string) ([]byte, error) {
	if len(uris) > maxAggregation {
		return nil, fmt.Errorf("%w: an aggregation of %d lists", ErrTooLarge, len(uris))
	}
	for _, uri := range uris {
		if err := checkURI(uri); err != nil {
			return nil, err
		}
	}
	// An empty aggregation is an empty array, never null.
	return json.Marshal(map[string][]string{"status_lists": append([]string{}, uris...)})
}

// ParseAggregation reads an aggregation document and returns the URIs of its
// lists. They are as untrusted as the document: what may be fetched from them is
// for the caller to decide.
func ParseAggregation(b []byte) ([]string, error) {
	if len(b) > maxAggregation*256 {
		return nil, fmt.Errorf("%w: an aggregation of %d bytes", ErrTooLarge, len(b))
	}
	m, err := readJSON(b, strict.Limits{Bytes: maxAggregation * 256, Depth: 8, Items: maxAggregation + 256})
	if err != nil {
		return nil, fmt.Errorf("read aggregation: %w", err)
	}
	lists := m.Get("status_lists")
	if lists.Kind() != strict.Array {
		return nil, fmt.Errorf("%w: status_lists is not an array of strings", ErrMalformed)
	}
	if lists.Len() > maxAggregation {
		return nil, fmt.Errorf("%w: an aggregation of %d lists", ErrTooLarge, lists.Len())
	}
	uris := make([]string, lists.Len())
	for i := range uris {
		var ok bool
		if uris[i], ok = lists.At(i).Text(); !ok {
			return nil, fmt.Errorf("%w: status_lists is not an array of strings", ErrMalformed)
		}
	}
	for _, uri := range uris {
		if err := checkURI(uri); err != nil {
			return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
		}
	}
	return uris, nil
}

// maxURI is the longest URI of a list, in bytes.
const maxURI = 512

// checkURI accepts absolute URIs without user information or fragment.
func checkURI(uri string) error {
	if len(uri) > maxURI {
		return fmt.Errorf("status: list URI of %d bytes is too long", len(uri))
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme == "" || u.User != nil || u.Fragment != "" {
		return errors.New("status: list URI is not absolute and plain")
	}
	return nil
}
