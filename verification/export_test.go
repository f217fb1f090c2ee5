package verification

import "github.com/sanad-id/sanad/credential"

// StatusCheck is the outcome for a value that no snapshot can hold.
var StatusCheck = statusCheck

// HasVerdict reports whether the table has this reason.
func HasVerdict(r credential.Reason) bool { _, ok := verdicts[r]; return ok }

// TableSize is how many reasons the table has.
func TableSize() int { return len(verdicts) }

// PersonCheck is what to compare for a type that wants this.
var PersonCheck = personCheck

// Name gives claims the names of their type.
var Name = name
