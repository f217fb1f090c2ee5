package cose

// VerifyBytes is the function that every signature goes through, for vectors
// that are signatures and not messages.
var VerifyBytes = verify
