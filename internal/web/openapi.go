package web

import (
	"encoding/json"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v3"
)

// A Description tells what a server's routes take and answer (OpenAPI 3.1).
type Description func() ([]byte, error)

// Describe returns the description in text, a YAML document, which is kept as JSON.
func Describe(text []byte) Description {
	return sync.OnceValues(func() ([]byte, error) {
		var doc map[string]any
		if err := yaml.Unmarshal(text, &doc); err != nil {
			return nil, err
		}
		return json.Marshal(doc)
	})
}

// Serve is the handler that answers with it.
func (d Description) Serve(w http.ResponseWriter, _ *http.Request) error {
	b, err := d()
	if err != nil {
		return err
	}
	Write(w, http.StatusOK, MediaJSON, b)
	return nil
}
