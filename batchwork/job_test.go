package batchwork_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sanad-id/sanad/batchwork"
	"github.com/sanad-id/sanad/issuance"
)

var at = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

func job(t *testing.T) batchwork.Job {
	t.Helper()
	j, err := batchwork.New(batchwork.Order{
		Office: "north", Programme: "card", Requester: "op-1", Name: "a.csv", Kinds: []issuance.FileKind{issuance.FileCSV},
	}, at)
	if err != nil {
		t.Fatal(err)
	}
	j.Dry = batchwork.Counts{Records: 3, Good: 2, Faulty: 1}
	return j
}

// TestWhatMayFollowWhat holds every state and deed to the table of issue 5: nothing
// leaves a state that is over, and only an approval starts a batch, or one person where the
// programme says that one is enough.
func TestWhatMayFollowWhat(t *testing.T) {
	allowed := map[string]batchwork.State{
		"checking find": batchwork.Checked, "checking reject": batchwork.Unusable, "checking cancel": batchwork.Cancelled,
		"checked recheck": batchwork.Checking, "checked propose": batchwork.Proposed, "checked alone": batchwork.Running, "checked cancel": batchwork.Cancelled,
		"proposed decline": batchwork.Checked, "proposed approve": batchwork.Running, "proposed recheck": batchwork.Checking,
		"proposed cancel": batchwork.Cancelled,
		"running pause":   batchwork.Paused, "running cancel": batchwork.Cancelled, "running fail": batchwork.Failed, "running finish": batchwork.Finished,
		"paused resume": batchwork.Running, "paused cancel": batchwork.Cancelled, "paused finish": batchwork.Finished,
		"failed resume": batchwork.Running, "failed cancel": batchwork.Cancelled,
	}
	for _, s := range batchwork.States() {
		for _, d := range batchwork.Deeds() {
			j := job(t)
			j.State = s
			got, err := j.Do(d, "op-2", at.Add(time.Minute))
			want, ok := allowed[string(s)+" "+string(d)]
			switch {
			case !ok && !errors.Is(err, batchwork.ErrState):
				t.Errorf("%s when %s: %s, %v, want a refusal", d, s, got.State, err)
			case ok && (err != nil || got.State != want || got.Changed != at.Add(time.Minute) || !j.Can(d)):
				t.Errorf("%s when %s: %s, %v, want %s", d, s, got.State, err, want)
			}
			if !ok && j.Can(d) {
				t.Errorf("%s when %s is offered", d, s)
			}
		}
	}
}

func TestApprovalIsOfAnotherPerson(t *testing.T) {
	j := job(t)
	j.State = batchwork.Checked
	j, err := j.Do(batchwork.Propose, "op-7", at)
	if err != nil || j.Requester != "op-7" {
		t.Fatal(j, err)
	}
	for _, who := range []string{"op-7", ""} {
		if _, err := j.Do(batchwork.Approve, who, at); !errors.Is(err, batchwork.ErrOwn) {
			t.Errorf("%q approves: %v, want %v", who, err, batchwork.ErrOwn)
		}
	}
	if j, err = j.Do(batchwork.Approve, "op-1", at); err != nil || j.Approver != "op-1" || j.Approved != j.Terms().Hash() {
		t.Errorf("somebody else approves: %+v, %v", j, err)
	}
	nothing := job(t)
	nothing.State, nothing.Dry.Good = batchwork.Checked, 0
	if _, err := nothing.Do(batchwork.Propose, "op-1", at); !errors.Is(err, batchwork.ErrState) {
		t.Errorf("a batch of nothing is proposed: %v", err)
	}
}

// TestTermsAreEverything: whatever decides what is issued changes the digest that an
// approval is bound to.
func TestTermsAreEverything(t *testing.T) {
	good := job(t).Terms()
	v := reflect.ValueOf(&good).Elem()
	was := good.Hash()
	for i := range v.NumField() {
		changed := good
		f := reflect.ValueOf(&changed).Elem().Field(i)
		switch f.Kind() {
		case reflect.String:
			f.SetString(f.String() + "x")
		case reflect.Int:
			f.SetInt(f.Int() + 1)
		case reflect.Bool:
			f.SetBool(!f.Bool())
		case reflect.Slice:
			changed.Kinds = []issuance.FileKind{issuance.FilePNG}
		case reflect.Struct:
			for n := range f.NumField() {
				again := good
				reflect.ValueOf(&again).Elem().Field(i).Field(n).SetInt(99)
				if again.Hash() == was {
					t.Errorf("the terms do not hold Dry.%s", f.Type().Field(n).Name)
				}
			}
			continue
		case reflect.Pointer: // what is revoked
			last := was
			for _, r := range []batchwork.Revocation{
				{}, {Reason: issuance.Lost}, {Batch: "b"}, {List: true}, {From: at}, {To: at}, {From: at, To: at},
			} {
				changed.Revoke = &r
				if changed.Hash() == was || changed.Hash() == last {
					t.Errorf("the terms do not hold %+v", r)
				}
				last = changed.Hash()
			}
			if n := f.Type().Elem().NumField(); n != 5 {
				t.Errorf("a Revocation has %d fields, and 5 are tried", n)
			}
		default:
			t.Fatalf("a field of kind %s", f.Kind())
		}
		if changed.Hash() == was {
			t.Errorf("the terms do not hold %s", v.Type().Field(i).Name)
		}
	}
}

func TestNamesOfFiles(t *testing.T) {
	for _, tt := range []struct{ given, want string }{
		{"farmers.csv", "farmers.csv"},
		{`C:\Users\Amina\list.csv`, "list.csv"},
		{"../../etc/passwd", "passwd"},
		{"OUT-04 a\r\nSet-Cookie: x.csv", "OUT-04 aSet-Cookie: x.csv"},
		{"\u202egpj.vsc", "gpj.vsc"},
		{strings.Repeat("ক", 200), strings.Repeat("ক", 80)},
	} {
		j, err := batchwork.New(batchwork.Order{Office: "o", Programme: "p", Requester: "r", Name: tt.given, Kinds: []issuance.FileKind{"csv"}}, at)
		if err != nil || j.Name != tt.want {
			t.Errorf("%q is kept as %q, %v; want %q", tt.given, j.Name, err, tt.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := batchwork.Order{Office: "o", Programme: "p", Requester: "r", Name: "n", Kinds: []issuance.FileKind{"csv"}}
	for _, tt := range []struct {
		name  string
		spoil func(*batchwork.Order)
	}{
		{"no office", func(o *batchwork.Order) { o.Office = "" }},
		{"no programme", func(o *batchwork.Order) { o.Programme = "" }},
		{"nobody", func(o *batchwork.Order) { o.Requester = "" }},
		{"neither file nor source", func(o *batchwork.Order) { o.Name = "" }},
		{"both", func(o *batchwork.Order) { o.Source = "births" }},
		{"nothing to make", func(o *batchwork.Order) { o.Kinds = nil }},
	} {
		o := good
		tt.spoil(&o)
		if _, err := batchwork.New(o, at); err == nil {
			t.Errorf("%s: no refusal", tt.name)
		}
	}
}

func TestReceiveRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "batches")
	f, err := batchwork.OpenFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	j, err := f.Receive(job(t), strings.NewReader("0123456789"), 10)
	if err != nil || j.Size != 10 || j.Digest != "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882" {
		t.Fatalf("as many bytes as may be: %+v, %v", j, err)
	}
	for _, tt := range []struct {
		name, text string
		want       error
	}{{"a byte more", "01234567890", batchwork.ErrTooLarge}, {"nothing", "", batchwork.ErrEmpty}} {
		bad := job(t)
		if _, err := f.Receive(bad, strings.NewReader(tt.text), 10); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if _, err := os.Stat(filepath.Join(path, bad.ID)); err == nil {
			t.Errorf("%s leaves a folder", tt.name)
		}
	}
	if left, err := os.ReadDir(filepath.Join(path, "incoming")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for _, p := range []string{path, filepath.Join(path, j.ID), filepath.Join(path, "incoming")} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s is open to others: %v, %v", p, info.Mode(), err)
		}
	}
	if info, err := os.Stat(f.Upload(j.ID)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the upload is open to others: %v", err)
	}
	if err := f.Zip(t.Context(), job(t).ID, &bytes.Buffer{}); !errors.Is(err, batchwork.ErrErased) {
		t.Errorf("the archive of a job without files: %v", err)
	}
}
