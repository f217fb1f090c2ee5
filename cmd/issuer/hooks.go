//go:build !proof

package main

import (
	"time"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
)

// What package proof takes hold of in a build of its own (go build -tags proof).
// In the program that people run there is nothing to take hold of.
var (
	// clock tells the time.
	clock = time.Now
	// crash is called at every point of the ladder.
	crash func(issuance.Point)
	// keyCost is what one try of the passphrase of a new keystore takes.
	keyCost = keys.DefaultCost()
)

// chunk is how many records of a batch go into one transaction; 0 for the usual.
const chunk = 0
