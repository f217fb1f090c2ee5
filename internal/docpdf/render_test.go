package docpdf_test

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/i18n"
)

const codeText = "6BFOXN*TS0BI$ZDYSHTRMWZTGJ6NCU8%R3M3BLCTF5QL7ECDFPBMZD1GFE3CRIC*KD4A7F%EDCPCDIKBPCBJC.MC:O89KC0X0YJA2UK7DKA%JXTM*OPPM4+NPIYI1FM7*9%$IX.HDOIH:FOGJ43Q/HQ*$GQA7KUAP0KG7WHN9BQD9 PPSB5:M63LQ%FAKKAVTA.5LCNS8YH.BV*ZVX+6LSEX4P28HX.RNHV 3IB.SFEH5BRN1S*4SYVL*CBXYMO5VX5SE0NXF0"

func certificate(lang string) docpdf.Certificate {
	sheet, _ := docpdf.LayoutNamed("sheet")
	l := func(en, bn, ar string) map[string]string { return map[string]string{"en": en, "bn": bn, "ar": ar} }
	return docpdf.Certificate{
		Layout: sheet, Languages: []i18n.Language{i18n.For(lang)},
		Type:   l("Birth certificate", "জন্ম সনদ", "شهادة ميلاد"),
		Issuer: l("Civil Registry of Kestara", "কেস্তারা নাগরিক নিবন্ধন", "السجل المدني لكستارا"),
		Number: "7K3M9QX2TDHV", Issued: time.Date(2026, 11, 12, 9, 0, 0, 0, time.UTC),
		Claims: []docpdf.Claim{
			{Name: "number", Labels: l("Registration number", "নিবন্ধন নম্বর", "رقم القيد"), Kind: "text", Value: "B-07-2019-00000123"},
			{Name: "name", Labels: l("Name", "নাম", "الاسم"), Kind: "text", Value: "Rafiqul Islam (Rafi)"},
			{Name: "local", Labels: l("Name in local script", "স্থানীয় লিপিতে নাম", "الاسم بالكتابة المحلية"), Kind: "text", Value: "মোঃ রফিকুল ইসলাম শ্রীকৃষ্ণপুর"},
			{Name: "arabic", Labels: l("Mother", "মাতা", "الأم"), Kind: "text", Value: "فاطمة الزهراء عبد الله"},
			{Name: "mixed", Labels: l("Father", "পিতা", "الأب"), Kind: "text", Value: "عبد الرحمن (b. 1960) محمد"},
			{Name: "birth", Labels: l("Date of birth", "জন্ম তারিখ", "تاريخ الميلاد"), Kind: "date", Value: "20190702"},
			{Name: "place", Labels: l("Place", "স্থান", "المكان"), Kind: "text", Value: "क्षत्रियपुर, ភ្នំពេញ, ວຽງຈັນ, አዲስ አበባ"},
		},
		Codes: []docpdf.Code{
			{Form: "qr", Text: codeText, Level: "M"},
			{Form: "strip", Text: codeText[:200], Level: "M", Claims: []string{"number", "name"}},
		},
		Help: "https://registry.example.org/check",
	}
}

func TestLook(t *testing.T) {
	p, err := docpdf.New(docpdf.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range []string{"en", "bn", "ar"} {
		for _, name := range []string{"sheet", "card", "strip"} {
			c := certificate(lang)
			c.Layout, _ = docpdf.LayoutNamed(name)
			var b bytes.Buffer
			notes, err := p.Render(&b, c)
			if err != nil {
				t.Fatal(name, err)
			}
			t.Log(lang, name, b.Len(), notes)
			os.WriteFile("/tmp/pdf-look-"+name+"-"+lang+".pdf", b.Bytes(), 0o644)
		}
	}
}
