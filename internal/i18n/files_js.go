//go:build js && !pocket

package i18n

import "embed"

// A browser gets what its verifier says. What the page says itself it reads as it is
// (scripts/web.sh).
//
//go:embed catalog/en.json catalog/fr.json catalog/pt.json catalog/sw.json catalog/bn.json catalog/ar.json
//go:embed catalog/scanner.*.json
var files embed.FS

var areas = []string{"scanner"}
