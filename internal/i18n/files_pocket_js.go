//go:build js && pocket

package i18n

import "embed"

// The pocket page is a wallet, and no scanner.
//
//go:embed catalog/en.json catalog/fr.json catalog/pt.json catalog/sw.json catalog/bn.json catalog/ar.json
//go:embed catalog/pocket.*.json catalog/wallet.*.json
var files embed.FS

var areas = []string{"pocket", "wallet"}
