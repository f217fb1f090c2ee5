package i18n

import "embed"

// A browser gets what its page says, and not the console.
//
//go:embed catalog/en.json catalog/fr.json catalog/pt.json catalog/sw.json catalog/bn.json catalog/ar.json
//go:embed catalog/scan.*.json
var files embed.FS

var areas = []string{"scan"}
