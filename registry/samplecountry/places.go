package samplecountry

import "fmt"

// The country is made up: no place in it exists. Its codes are user-assigned
// ones of ISO 3166-1, which no country can be given.
const (
	// Alpha2 is its country code of two letters.
	Alpha2 = "XA"
	// Alpha3 is its country code of three letters.
	Alpha3 = "XAA"
	// Currency is the code that ISO 4217 reserves for tests.
	Currency = "XTS"
)

// A province is the first administrative level, four districts each.
type province struct {
	code string
	name pair
}

// A district is the second level. Its script is that of its people.
type district struct {
	code     string
	number   int // from 1
	name     pair
	script   *script
	province *province
	towns    []town

	office, clinic, school office
}

// A town is a municipality, the third level.
type town struct {
	code     string
	name     pair
	postal   string
	district *district
}

// An office is a civil registry, a health facility or a school.
type office struct {
	code, kind string
	name       pair
	town       *town
	street     string
}

// districtsIn is how many districts have each script, in the order of scripts.
// Bengali is the majority's.
var districtsIn = [...]int{8, 2, 2, 2, 2, 2, 2}

var provinceNames = []pair{
	{"Purbadesh", "পূর্বদেশ"}, {"Nadimatrik", "নদীমাতৃক"}, {"Uttargarh", "उत्तरगढ़"}, {"Gubalit", "ጉባሊት"}, {"Mekhala", "មេខលា"},
}

// districtNames by script.
var districtNames = map[*script][]pair{
	&bengali: {
		{"Shyamnadi", "শ্যামনদী"}, {"Kamalbari", "কমলবাড়ি"}, {"Rupkhali", "রূপখালী"}, {"Madhutala", "মধুতলা"},
		{"Chandanpara", "চন্দনপাড়া"}, {"Gopaldanga", "গোপালডাঙ্গা"}, {"Nandigram", "নন্দীগ্রাম"}, {"Manoharkathi", "মনোহরকাঠি"},
	},
	&devanagari: {{"Himgarh", "हिमगढ़"}, {"Suryakot", "सूर्यकोट"}},
	&arabic:     {{"Al-Waha", "الواحة"}, {"Al-Jisr", "الجسر"}},
	&ethiopic:   {{"Awraja Selam", "አውራጃ ሰላም"}, {"Tekle Amba", "ተክለ አምባ"}},
	&cyrillic:   {{"Svetlogorye", "Светлогорье"}, {"Belorechye", "Белоречье"}},
	&khmer:      {{"Boeng Pich", "បឹងពេជ្រ"}, {"Kampong Sovann", "កំពង់សុវណ្ណ"}},
	&lao:        {{"Nakham", "ນາຄຳ"}, {"Phoukeo", "ພູແກ້ວ"}},
}

// townWords make four towns a district: a stem of the district and one of four
// words before or after it.
type townWords struct {
	stems  []pair
	words  [4]pair
	before bool
	sep    string // in Latin letters
	local  string // the same in the local script
}

var townNames = map[*script]townWords{
	&bengali: {
		stems: []pair{
			{"Shyam", "শ্যাম"}, {"Kamal", "কমল"}, {"Rup", "রূপ"}, {"Madhu", "মধু"},
			{"Chandan", "চন্দন"}, {"Gopal", "গোপাল"}, {"Nandi", "নন্দী"}, {"Manohar", "মনোহর"},
		},
		words: [4]pair{{"pur", "পুর"}, {"ganj", "গঞ্জ"}, {"nagar", "নগর"}, {"hat", "হাট"}},
	},
	&devanagari: {
		stems: []pair{{"Him", "हिम"}, {"Surya", "सूर्य"}},
		words: [4]pair{{"pur", "पुर"}, {"nagar", "नगर"}, {"ganj", "गंज"}, {"tal", "ताल"}},
	},
	&arabic: {
		stems:  []pair{{"al-Nakhil", "النخيل"}, {"al-Zaytun", "الزيتون"}},
		words:  [4]pair{{"Bayt", "بيت"}, {"Ayn", "عين"}, {"Wadi", "وادي"}, {"Dayr", "دير"}},
		before: true, sep: " ", local: " ",
	},
	&ethiopic: {
		stems: []pair{{"Selam", "ሰላም"}, {"Tekle", "ተክለ"}},
		words: [4]pair{{"Meda", "ሜዳ"}, {"Wenz", "ወንዝ"}, {"Terara", "ተራራ"}, {"Ketema", "ከተማ"}},
		sep:   " ", local: " ",
	},
	&cyrillic: {
		stems: []pair{{"Svetlo", "Светло"}, {"Belo", "Бело"}},
		words: [4]pair{{"grad", "град"}, {"polye", "полье"}, {"gorsk", "горск"}, {"ozyorsk", "озёрск"}},
	},
	&khmer: {
		stems:  []pair{{"Pich", "ពេជ្រ"}, {"Sovann", "សុវណ្ណ"}},
		words:  [4]pair{{"Phum", "ភូមិ"}, {"Veal", "វាល"}, {"Stueng", "ស្ទឹង"}, {"Preaek", "ព្រែក"}},
		before: true, sep: " ",
	},
	&lao: {
		stems:  []pair{{"Kham", "ຄຳ"}, {"Keo", "ແກ້ວ"}},
		words:  [4]pair{{"Ban", "ບ້ານ"}, {"Vang", "ວັງ"}, {"Phon", "ໂພນ"}, {"Na", "ນາ"}},
		before: true, sep: " ",
	},
}

func (w townWords) name(district, i int) pair {
	stem, word := w.stems[district], w.words[i]
	if w.before {
		return pair{word.latin + w.sep + stem.latin, word.local + w.local + stem.local}
	}
	return pair{stem.latin + w.sep + word.latin, stem.local + w.local + word.local}
}

var streets = []string{
	"Station Road", "Market Street", "Mill Lane", "River Bank", "School Road", "Temple Street", "Old Bazaar", "Hospital Road",
	"Garden Row", "Canal Street", "Hill View", "Bridge Street",
}

// A geography is the country's places. It does not depend on the seed.
type geography struct {
	provinces []*province
	districts []*district
}

func newGeography() *geography {
	g := &geography{}
	for i, n := range provinceNames {
		g.provinces = append(g.provinces, &province{code: fmt.Sprintf("%s-P%d", Alpha2, i+1), name: n})
	}
	for si, s := range scripts {
		for i := range districtsIn[si] {
			g.addDistrict(s, i)
		}
	}
	return g
}

// addDistrict adds district i of those with script s.
func (g *geography) addDistrict(s *script, i int) {
	n := len(g.districts) + 1
	d := &district{
		code: fmt.Sprintf("%s-%02d", Alpha2, n), number: n, name: districtNames[s][i], script: s,
		province: g.provinces[(n-1)/4],
	}
	d.towns = make([]town, 4)
	for t := range d.towns {
		d.towns[t] = town{
			code: fmt.Sprintf("%s-%02d", d.code, t+1), name: townNames[s].name(i, t),
			postal: fmt.Sprintf("%02d%d00", n+10, t+1), district: d,
		}
	}
	d.office = office{
		fmt.Sprintf("CR-%02d", n), "CIVIL_REGISTRY",
		pair{d.name.latin + " Civil Registration Office", s.office.of(d.name.local)}, &d.towns[0], "1 Court Square",
	}
	d.clinic = office{
		fmt.Sprintf("HF-%02d", n), "HEALTH_FACILITY",
		pair{d.name.latin + " Health Centre", s.clinic.of(d.name.local)}, &d.towns[n%4], "4 Hospital Road",
	}
	d.school = office{
		fmt.Sprintf("SC-%02d", n), "SCHOOL",
		pair{d.name.latin + " High School", s.school.of(d.name.local)}, &d.towns[(n+1)%4], "",
	}
	g.districts = append(g.districts, d)
}
