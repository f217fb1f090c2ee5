package programme

// Characters of one alphanumeric segment that versions 1 to 25 hold (ISO/IEC
// 18004:2015, table 7). Larger codes are not printed.
var capacity = map[string][25]int{
	"L": {25, 47, 77, 114, 154, 195, 224, 279, 335, 395, 468, 535, 619, 667, 758, 854, 938, 1046, 1153, 1249, 1352, 1460, 1588, 1704, 1853},
	"M": {20, 38, 61, 90, 122, 154, 178, 221, 262, 311, 366, 419, 483, 528, 600, 656, 734, 816, 909, 970, 1035, 1134, 1248, 1326, 1451},
	"Q": {16, 29, 47, 67, 87, 108, 125, 157, 189, 221, 259, 296, 352, 376, 426, 470, 531, 574, 644, 702, 742, 823, 890, 963, 1041},
}

// Version returns the QR version that a text of this many characters needs at
// the form's level, and whether the form allows it. The version is 0 if the text
// needs more than version 25.
func (f Form) Version(characters int) (version int, ok bool) {
	for i, n := range capacity[f.Level] {
		if characters <= n {
			return i + 1, i+1 <= f.MaxVersion
		}
	}
	return 0, false
}
