package verifier

import (
	_ "embed"

	"github.com/sanad-id/sanad/internal/web"
)

//go:embed openapi.yaml
var openAPIText []byte

// OpenAPI is the description of the routes as JSON.
var OpenAPI = web.Describe(openAPIText)
