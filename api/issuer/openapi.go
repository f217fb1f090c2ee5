package issuer

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/sanad-id/sanad/internal/web"
)

//go:embed openapi.yaml
var openAPIText []byte

// OpenAPI is the description of the routes (OpenAPI 3.1) as JSON.
var OpenAPI = sync.OnceValues(func() ([]byte, error) {
	var doc map[string]any
	if err := yaml.Unmarshal(openAPIText, &doc); err != nil {
		return nil, err
	}
	return json.Marshal(doc)
})

func openAPI(w http.ResponseWriter, _ *http.Request) error {
	b, err := OpenAPI()
	if err != nil {
		return err
	}
	web.Write(w, http.StatusOK, web.MediaJSON, b)
	return nil
}
