package crosswalk

import (
	"strings"
	"sync"
)

// languageTable pairs the two-letter codes of ISO 639-1 with those of ISO 639-3.
const languageTable = `
aaaar ababk aeave afafr akaka amamh anarg arara asasm avava ayaym azaze babak bebel bgbul bibis bmbam bnben
bobod brbre bsbos cacat ceche chcha cocos crcre csces cuchu cvchv cycym dadan dedeu dvdiv dzdzo eeewe elell
eneng eoepo esspa etest eueus fafas ffful fifin fjfij fofao frfra fyfry gagle gdgla glglg gngrn guguj gvglv
hahau heheb hihin hohmo hrhrv hthat huhun hyhye hzher iaina idind ieile igibo iiiii ikipk ioido isisl itita
iuiku jajpn jvjav kakat kgkon kikik kjkua kkkaz klkal kmkhm knkan kokor krkau kskas kukur kvkom kwcor kykir
lalat lbltz lglug lilim lnlin lolao ltlit lulub lvlav mgmlg mhmah mimri mkmkd mlmal mnmon mrmar msmsa mtmlt
mymya nanau nbnob ndnde nenep ngndo nlnld nnnno nonor nrnbl nvnav nynya ococi ojoji omorm orori ososs papan
pipli plpol pspus ptpor quque rmroh rnrun roron rurus rwkin sasan scsrd sdsnd sesme sgsag sisin skslk
slslv smsmo snsna sosom sqsqi srsrp ssssw stsot susun svswe swswa tatam tetel tgtgk ththa titir tktuk tltgl
tntsn toton trtur tstso tttat twtwi tytah uguig ukukr ururd uzuzb veven vivie vovol wawln wowol xhxho yiyid
yoyor zazha zhzho zuzul`

var languages = sync.OnceValue(func() map[string]string {
	m := make(map[string]string, 200)
	for _, pair := range strings.Fields(languageTable) {
		m[pair[:2]] = pair[2:]
	}
	return m
})

// ISO6393 returns the ISO 639-3 code, as Claim 169 writes a language, of a
// language tag (BCP 47) such as bn, bn-BD or sw, or of such a code itself in
// any case (EN, eng, AR).
func ISO6393(tag string) (string, error) {
	tag = strings.TrimSpace(tag)
	if len(tag) > 35 {
		return "", unreadable("language", "the text is longer than any language tag")
	}
	primary, _, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(tag, "_", "-")), "-")
	if code, ok := languages()[primary]; ok {
		return code, nil
	}
	letters := len(primary) == 3
	for i := range len(primary) {
		letters = letters && primary[i] >= 'a' && primary[i] <= 'z'
	}
	switch {
	case !letters:
		return "", unreadable("language", "not a language tag such as bn or a code of three letters such as ben")
	case primary == "und" || primary == "mul" || primary == "mis" || primary == "zxx":
		return "", unreadable("language", "the code names no one language")
	}
	return primary, nil
}
