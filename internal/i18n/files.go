//go:build !js

package i18n

import "embed"

//go:embed catalog/*.json
var files embed.FS

// areas are the parts of the console, the printed certificate, the scanner page (what it
// says itself and what its verifier says), the verifier's status, the pocket page and the wallet, each with a
// catalogue of its own beside the one that all programs share.
var areas = []string{"console", "staff", "work", "manage", "paper", "scan", "scanner", "status", "pocket", "wallet"}
