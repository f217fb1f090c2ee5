package cwt

import "github.com/sanad-id/sanad/credential"

// FaceOf is face, for the vectors, which are not signed.
func FaceOf(person credential.Claims) *credential.Face { return face(person) }
