package engine

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/sanad-id/sanad/wallet"
)

// A Memory keeps records by kind and id between visits. A change is kept when its call
// returns. Records hold personal data, and no private key.
type Memory interface {
	Put(kind, id string, b []byte) error
	// Delete forgets a record, whether or not it is there.
	Delete(kind, id string) error
	// All are the records of a kind by id.
	All(kind string) (map[string][]byte, error)
}

// The kinds of records.
const (
	heldKind    = "held"
	pendingKind = "pending"
	logKind     = "log"
	profileKind = "profile"
	trustKind   = "trust"
)

// one is one record, nil if it is not there.
func one(m Memory, kind, id string) ([]byte, error) {
	all, err := m.All(kind)
	return all[id], err
}

// A record belongs to a profile.
type record[T any] struct {
	Profile string `json:"profile,omitempty"`
	Value   T      `json:"value"`
}

// list are the records of a profile, sorted by their ids, which sort by time.
func list[T any](m Memory, kind, profile string) ([]T, error) {
	all, err := m.All(kind)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(all))
	for id := range all {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var out []T
	for _, id := range ids {
		var r record[T]
		if err := decode(all[id], &r); err != nil {
			return nil, err
		}
		if r.Profile == profile {
			out = append(out, r.Value)
		}
	}
	return out, nil
}

func put[T any](m Memory, kind, id, profile string, v T) error {
	b, err := json.Marshal(record[T]{profile, v})
	if err != nil {
		return err
	}
	return m.Put(kind, id, b)
}

// A keeper is what one profile has.
type keeper struct {
	memory  Memory
	profile string
}

var _ wallet.Keeper = keeper{}

// Held implements [wallet.Keeper].
func (k keeper) Held() ([]wallet.Held, error) {
	return list[wallet.Held](k.memory, heldKind, k.profile)
}

// Put implements [wallet.Keeper].
func (k keeper) Put(h wallet.Held) error { return put(k.memory, heldKind, h.ID, k.profile, h) }

// PutPending implements [wallet.Keeper].
func (k keeper) PutPending(p wallet.Pending) error {
	return put(k.memory, pendingKind, p.ID, k.profile, p)
}

// DeletePending implements [wallet.Keeper].
func (k keeper) DeletePending(id string) error { return k.memory.Delete(pendingKind, id) }

// Pending implements [wallet.Keeper].
func (k keeper) Pending() ([]wallet.Pending, error) {
	return list[wallet.Pending](k.memory, pendingKind, k.profile)
}

// Note implements [wallet.Keeper].
func (k keeper) Note(e wallet.Entry) error {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails
	e.ID = e.At.UTC().Format("20060102150405.000000000") + hex.EncodeToString(random[:])
	return put(k.memory, logKind, e.ID, k.profile, e)
}

// get is one card.
func (k keeper) get(id string) (*wallet.Held, error) {
	all, err := k.Held()
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].ID == id {
			return &all[i], nil
		}
	}
	return nil, errGone
}

// A Profile is one of the people who share this phone.
type Profile struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// maxProfiles is how many people may share a phone, and maxName the most bytes of a name.
const (
	maxProfiles = 32
	maxName     = 120
)

// Profiles are all profiles, the first of them without a name unless it was given one.
func (e *Engine) profiles() ([]Profile, error) {
	all, err := e.cfg.Memory.All(profileKind)
	if err != nil {
		return nil, err
	}
	out := []Profile{{}}
	for _, b := range all {
		var p Profile
		if err := decode(b, &p); err != nil {
			return nil, err
		}
		if p.ID == "" {
			out[0] = p
			continue
		}
		out = append(out, p)
	}
	slices.SortFunc(out[1:], func(a, b Profile) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// AddProfile adds a person and uses their profile.
func (e *Engine) AddProfile(name string) error {
	all, err := e.profiles()
	if err != nil {
		return err
	}
	if name = strings.TrimSpace(name); name == "" || len(name) > maxName || len(all) >= maxProfiles {
		return errGone
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	p := Profile{ID: hex.EncodeToString(random[:]), Name: name}
	if err := e.putProfile(p); err != nil {
		return err
	}
	e.forget()
	e.profile = p.ID
	return nil
}

// NameProfile gives the profile in use another name.
func (e *Engine) NameProfile(name string) error {
	if name = strings.TrimSpace(name); name == "" || len(name) > maxName {
		return errGone
	}
	return e.putProfile(Profile{ID: e.profile, Name: name})
}

func (e *Engine) putProfile(p Profile) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	id := p.ID
	if id == "" {
		id = "first"
	}
	return e.cfg.Memory.Put(profileKind, id, b)
}

// UseProfile goes over to another person. What was under way is given up.
func (e *Engine) UseProfile(id string) error {
	all, err := e.profiles()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(p Profile) bool { return p.ID == id }) {
		return errGone
	}
	e.forget()
	e.profile = id
	return nil
}

// DeleteProfile deletes the profile in use with all that it has; the first one stays,
// empty.
func (e *Engine) DeleteProfile() error {
	k := keeper{e.cfg.Memory, e.profile}
	held, err := k.Held()
	if err != nil {
		return err
	}
	waiting, err := k.Pending()
	if err != nil {
		return err
	}
	log, err := list[wallet.Entry](k.memory, logKind, k.profile)
	if err != nil {
		return err
	}
	for _, h := range held {
		if err := e.cfg.Memory.Delete(heldKind, h.ID); err != nil {
			return err
		}
	}
	for _, w := range waiting {
		if err := k.DeletePending(w.ID); err != nil {
			return err
		}
	}
	for _, entry := range log {
		if err := e.cfg.Memory.Delete(logKind, entry.ID); err != nil {
			return err
		}
	}
	id := e.profile
	if id == "" {
		id = "first"
	}
	if err := e.cfg.Memory.Delete(profileKind, id); err != nil {
		return err
	}
	e.forget()
	e.profile = ""
	return nil
}

// forget gives up what is under way.
func (e *Engine) forget() { e.proposal, e.asking, e.showing = nil, nil, nil }
