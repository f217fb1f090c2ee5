package cwt

import (
	"slices"

	"github.com/sanad-id/sanad/credential"
)

// attributes are those of Claim 169 by key: the table of its specification 1.2.
var attributes = map[int64]string{
	1: "id", 2: "version", 3: "language", 4: "fullName", 5: "firstName", 6: "middleName", 7: "lastName",
	8: "dateOfBirth", 9: "gender", 10: "address", 11: "email", 12: "phone", 13: "nationality",
	14: "maritalStatus", 15: "guardian", 16: "photo", 17: "photoFormat", 18: "bestQualityFingers",
	19: "secondaryFullName", 20: "secondaryLanguage", 21: "locationCode", 22: "legalStatus", 23: "countryOfIssuance",
	50: "rightThumb", 51: "rightPointerFinger", 52: "rightMiddleFinger", 53: "rightRingFinger", 54: "rightLittleFinger",
	55: "leftThumb", 56: "leftPointerFinger", 57: "leftMiddleFinger", 58: "leftRingFinger", 59: "leftLittleFinger",
	60: "rightIris", 61: "leftIris", 62: "face", 63: "rightPalm", 64: "leftPalm", 65: "voice",
}

// Keys of Claim 169 that the code names.
const (
	personID                = 1
	personLanguage          = 3
	personBirthDate         = 8
	personGender            = 9
	personAddress           = 10
	personMaritalStatus     = 14
	personPhoto             = 16
	personPhotoFormat       = 17
	personSecondaryLanguage = 20
	personFace              = 62
)

// issued are the keys of Claim 169 that may be issued. The others are left out on
// purpose: e-mail and phone (11, 12) date and identify across registers; a photo
// is written as face (62) and not as 16 and 17; biometrics but the face cannot be
// revoked once they are copied; and what is unassigned means something else
// elsewhere.
var issued = []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 19, 20, 21, 22, 23, personFace}

// PersonName returns the name of a Claim 169 attribute, or "" if the
// specification names none.
func PersonName(key int64) string { return attributes[key] }

// PersonKey returns the key of the Claim 169 attribute with this name.
func PersonKey(name string) (int64, bool) {
	for key, n := range attributes {
		if n == name {
			return key, true
		}
	}
	return 0, false
}

// PersonKeys returns the keys of the Claim 169 attributes that may be issued, in
// ascending order.
func PersonKeys() []int64 { return slices.Clone(issued) }

// Members of a biometric map, and the numbers of picture formats. The formats of
// a photo (attribute 17) have the same numbers.
const (
	biometricData      = 0
	biometricFormat    = 1
	biometricSubFormat = 2

	formatImage = 0
)

var mediaTypes = map[int64]string{1: "image/jpeg", 2: "image/jp2", 3: "image/avif", 4: "image/webp"}

// maxFace is the most bytes of a portrait.
const maxFace = 4 << 10

// FaceClaim returns the value of attribute 62 for a picture, in the form of the
// table: a list of biometrics, here of one. The media type is "image/jpeg",
// "image/jp2", "image/avif" or "image/webp".
func FaceClaim(f credential.Face) (any, error) {
	for sub, mediaType := range mediaTypes {
		if mediaType == f.MediaType {
			claim := []any{map[int64]any{biometricData: f.Data, biometricFormat: int64(formatImage), biometricSubFormat: sub}}
			if err := lintFace(claim); err != nil {
				return nil, notIssuable("face: %v", err)
			}
			return claim, nil
		}
	}
	return nil, notIssuable("face: not a known kind of picture")
}
