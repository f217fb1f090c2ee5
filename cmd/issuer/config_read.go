package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sanad-id/sanad/api/issuer"
	"github.com/sanad-id/sanad/audit"
	"github.com/sanad-id/sanad/internal/cli"
	"github.com/sanad-id/sanad/internal/docpdf"
	"github.com/sanad-id/sanad/internal/fetch"
	"github.com/sanad-id/sanad/internal/strictyaml"
	"github.com/sanad-id/sanad/oid4vci"
	"github.com/sanad-id/sanad/registry/sqltable"
	"github.com/sanad-id/sanad/store"
	"github.com/sanad-id/sanad/store/once"
)

// check applies the rules that YAML cannot.
func (c *PaperConfig) check(need func(ok bool, format string, args ...any)) {
	_, err := paperLanguages(c.Languages, nil)
	need(err == nil, "paper.languages: %v", err)
	need(len(c.Help) <= docpdf.HelpLength, "paper.help has %d characters; a small code has room for %d", len(c.Help), docpdf.HelpLength)
	u, err := url.Parse(c.Help)
	need(c.Help == "" || err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil, "paper.help must be an https address")
	for id, name := range c.Layouts {
		need(name != "", "paper.layouts.%s must name a layout", id)
	}
}

// A Duration is a time span in the settings: a number and one of s, m, h, d, y
// (a day has 24 hours, a year 365 days).
type Duration time.Duration

// UnmarshalYAML reads the number and its unit.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := parseDuration(n.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", n.Line, err)
	}
	*d = Duration(v)
	return nil
}

// MarshalYAML writes the number and the largest unit that leaves no rest, but years.
func (d Duration) MarshalYAML() (any, error) {
	for _, unit := range []string{"d", "h", "m"} {
		if t := time.Duration(d); t%units[unit] == 0 {
			return fmt.Sprintf("%d%s", t/units[unit], unit), nil
		}
	}
	return fmt.Sprintf("%ds", time.Duration(d)/time.Second), nil
}

var units = map[string]time.Duration{
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "y": 365 * 24 * time.Hour,
}

func parseDuration(s string) (time.Duration, error) {
	if s != "" {
		if unit, ok := units[s[len(s)-1:]]; ok {
			n, err := strconv.ParseInt(s[:len(s)-1], 10, 32)
			if err == nil && n > 0 && n <= int64(time.Duration(1<<63-1)/unit) {
				return time.Duration(n) * unit, nil
			}
		}
	}
	return 0, fmt.Errorf("%q is not a time span such as 90d, 12h or 1y", s)
}

var (
	issuerID = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)
	country  = regexp.MustCompile(`^[A-Z]{2}$`)
)

// standbySynchronous is the one value of store_standby.
const standbySynchronous = "synchronous"

// readConfig reads and checks the settings file.
func readConfig(path string) (Config, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return Config{}, cli.Hint(fmt.Errorf("no settings file at %s", path),
			"make an issuer with `issuer init DIR --name NAME --country CC`, or name an existing one with --dir DIR")
	}
	if err != nil {
		return Config{}, err
	}
	defer f.Close()
	var c Config
	if err := strictyaml.Settings(f, &c); err != nil {
		return Config{}, cli.Hint(fmt.Errorf("read %s: %w", path, err), "cmd/issuer/issuer.example.yaml of the sources explains every key")
	}
	c.defaults()
	dir := filepath.Dir(path)
	if !store.IsPostgres(c.Store) {
		c.Store = beside(dir, c.Store)
	}
	if c.Serve.Once == "" {
		c.Serve.Once = onceName
		if store.IsPostgres(c.Store) {
			c.Serve.Once = c.Store
		}
	}
	if !store.IsPostgres(c.Serve.Once) && c.Serve.Once != once.Memory {
		c.Serve.Once = beside(dir, c.Serve.Once)
	}
	if c.Console.Desk == "" {
		c.Console.Desk = deskName
		if store.IsPostgres(c.Store) {
			c.Console.Desk = c.Store
		}
	}
	if !store.IsPostgres(c.Console.Desk) {
		c.Console.Desk = beside(dir, c.Console.Desk)
	}
	if c.Console.Batches == "" {
		c.Console.Batches = "batches"
	}
	for _, p := range []*string{
		&c.Console.Batches, &c.Keystore, &c.KeyPassphraseFile, &c.StorePasswordFile, &c.StoreOwnerPasswordFile,
		&c.Serve.TLSCert, &c.Serve.TLSKey, &c.Serve.RedisPasswordFile, &c.Serve.Published, &c.Serve.WalletProviders, &c.Serve.KeyAttesters,
		&c.Serve.Login.ClientSecretFile, &c.Issuer.Logo,
	} {
		*p = beside(dir, *p)
	}
	for i, folder := range c.Paper.Fonts {
		c.Paper.Fonts[i] = beside(dir, folder)
	}
	for id, name := range c.Paper.Layouts {
		if _, ok := docpdf.LayoutNamed(name); !ok {
			c.Paper.Layouts[id] = beside(dir, name)
		}
	}
	for _, v := range c.Trust.Verifiers {
		for i := range v.Keys {
			v.Keys[i] = beside(dir, v.Keys[i])
		}
	}
	if c.Journal != noJournal {
		c.Journal = beside(dir, c.Journal)
	}
	for name, s := range c.Sources {
		s.CSV, s.SQL.PasswordFile = beside(dir, s.CSV), beside(dir, s.SQL.PasswordFile)
		if !sqltable.IsURL(s.SQL.Database) {
			s.SQL.Database = beside(dir, s.SQL.Database)
		}
		c.Sources[name] = s
	}
	if err := c.check(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	if c.Journal == noJournal {
		c.Journal = ""
	}
	return c, nil
}

// noJournal in place of a folder says that there is to be no journal. Saying
// nothing is not enough: settings that were cut off say nothing, too.
const noJournal = "none"

func beside(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

const day = Duration(24 * time.Hour)

// mostDebt is the longest audit.debt_limit, and what it is if nobody says: whoever
// wants to go on for longer says audit.without_witness.
const mostDebt = Duration(4 * time.Hour)

func (c *Config) defaults() {
	if c.Audit.Quorum == 0 {
		c.Audit.Quorum = 1
	}
	for _, d := range []struct {
		field    *Duration
		fallback Duration
	}{
		{&c.Trust.RefreshBy, 30 * day}, {&c.Trust.OldAfter, 365 * day}, {&c.Trust.StatusListLifetime, 7 * day},
		{&c.Keys.SignFor, 365 * day}, {&c.Keys.VerifyFor, 100 * 365 * day}, {&c.Keys.PublishBefore, 7 * day}, {&c.Audit.DebtLimit, mostDebt},
	} {
		if *d.field == 0 {
			*d.field = d.fallback
		}
	}
}

// check reports every fault of the settings at once.
func (c *Config) check() error {
	var faults []string
	need := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Sprintf(format, args...))
		}
	}
	need(issuerID.MatchString(c.Issuer.ID), "issuer.id must be 2 to 32 lower-case letters, digits and hyphens, and start with a letter")
	need(c.Issuer.Names["en"] != "", "issuer.names must have an English name (en)")
	need(country.MatchString(c.Issuer.Country), "issuer.country must be a code of two capital letters")
	u, err := url.Parse(c.Issuer.URL)
	plain := err == nil && u.Scheme == "http" && !loopback(u.Hostname())
	need(!plain, "issuer.url %q: over a network it must be https. To try things on this machine: http://127.0.0.1:8080, and `issuer serve --dev-http`. "+
		"For phones and others: https, with a certificate for that name (serve.tls_cert, serve.tls_key)", c.Issuer.URL)
	need(plain || err == nil && (u.Scheme == "https" && u.Host != "" || u.Scheme == "http") && u.RawQuery == "" && u.Fragment == "" && u.User == nil,
		"issuer.url must be an https address without user, query and fragment (http only on this machine, for development)")
	need(c.Store != "", "store must name the database file, or be a postgres:// URL")
	for name, location := range map[string]string{"store": c.Store, "store_owner": c.StoreOwner} {
		if store.IsPostgres(location) {
			err := checkStoreURL(location)
			need(err == nil, "%s: %v", name, err)
		}
	}
	need(c.StoreOwner == "" || store.IsPostgres(c.StoreOwner) && store.IsPostgres(c.Store), "store_owner goes with store on PostgreSQL, and is a postgres:// URL, too")
	need(c.StoreStandby == "" || c.StoreStandby == standbySynchronous, "store_standby is %q or absent", standbySynchronous)
	need(c.Keystore != "", "keystore must name the key file")
	need(c.Journal != "", "journal must name a folder on another disk, or be \"none\" to do without")
	need(c.Trust.OldAfter >= c.Trust.RefreshBy, "trust.old_after must not be shorter than trust.refresh_by")
	for id, v := range c.Trust.Verifiers {
		need(v.Names["en"] != "", "trust.verifiers.%s.names must have an English name (en)", id)
	}
	need(c.Keys.VerifyFor >= c.Keys.SignFor, "keys.verify_for must not be shorter than keys.sign_for")
	c.Audit.check(need)
	c.Serve.check(need, c.Sources)
	c.Console.check(need)
	c.Paper.check(need)
	for name, s := range c.Sources {
		need((s.CSV != "") != (s.SQL.Database != ""), "sources.%s must name either a csv file or the database of a sql table", name)
		need(s.SQL.Database != "" || s.SQL == SQLConfig{}, "sources.%s.sql must name a database", name)
		need(s.SQL.Database == "" || s.SQL.Table != "", "sources.%s.sql must name a table", name)
		need(s.SQL.Database == "" || s.Delimiter == "" && s.Encoding == "", "sources.%s: delimiter and encoding are of csv files", name)
		if sqltable.IsURL(s.SQL.Database) {
			err := sqltable.CheckURL(s.SQL.Database)
			need(err == nil, "sources.%s.sql.database: %v", name, err)
		}
		_, err := s.delimiter()
		need(err == nil, "sources.%s: %v", name, err)
	}
	if len(faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(faults, "\n  "))
}

// check reports the faults of the section.
func (c *AuditConfig) check(need func(ok bool, format string, args ...any)) {
	seen := map[string]bool{}
	for i, w := range c.Witnesses {
		id, err := audit.CheckWitnessKey(w.Key)
		need(err == nil, "audit.witnesses: number %d: %v", i+1, err)
		need(err != nil || !seen[id], "audit.witnesses: number %d is there twice", i+1)
		seen[id] = true
		if w.URL != "" {
			err := fetch.CheckURL(w.URL, c.LocalHosts)
			need(err == nil, "audit.witnesses: number %d: url: %v%s", i+1, err, ownNetwork("audit", w.URL))
		}
	}
	need(c.WithoutWitness || c.DebtLimit <= mostDebt, "audit.debt_limit must not be more than %s; going on for longer is audit.without_witness: true", time.Duration(mostDebt))
	need(c.Quorum >= 0 && c.Quorum <= max(1, len(c.Witnesses)), "audit.quorum must not be more than there are witnesses")
}

// check reports the faults of the section.
func (c *ServeConfig) check(need func(ok bool, format string, args ...any), sources map[string]SourceConfig) {
	need((c.TLSCert == "") == (c.TLSKey == ""), "serve: tls_cert and tls_key belong together")
	need(c.Pocket == "" || c.Pocket == "on" || c.Pocket == "off", "serve.pocket is on or off")
	need(c.PublishEvery == 0 || c.Published != "", "serve.publish_every needs serve.published, the folder to fill")
	for _, p := range c.Proxies {
		_, err := netip.ParsePrefix(p)
		need(err == nil, "serve.proxies: %q is not a network such as 10.0.0.0/8", p)
	}
	need(c.Once != once.Memory, "serve.once: codes and proofs that work once must survive a restart; name a file or a database, not memory")
	if store.IsPostgres(c.Once) {
		err := checkStoreURL(c.Once)
		need(err == nil, "serve.once: %v", err)
	}
	if c.Redis != "" {
		err := checkStoreURL(c.Redis)
		need(err == nil, "serve.redis: %v", err)
	}
	for programme, source := range c.Sources {
		_, ok := sources[source]
		need(ok, "serve.sources.%s: there is no source %q", programme, source)
	}
	for id, addresses := range c.Clients {
		need(len(addresses) > 0, "serve.clients.%s has no addresses", id)
		for _, a := range addresses {
			err := oid4vci.CheckRedirectURI(a, nil)
			need(err == nil, "serve.clients.%s: %v", id, err)
		}
	}
	err := issuer.CheckTxCode(c.TxCode.rule())
	need(err == nil, "serve.tx_code: %v", err)
	need(c.TxCode.Length <= longestTxCode, "serve.tx_code.length: nobody types %d characters without a slip; at most %d", c.TxCode.Length, longestTxCode)
	need(!c.AttestationRequired || c.WalletProviders != "", "serve.attestation_required needs serve.wallet_providers")
	need(!c.AttestationChallenge || c.WalletProviders != "", "serve.attestation_challenge needs serve.wallet_providers")
	need(len(c.KeyAttestation) == 0 || c.KeyAttesters != "", "serve.key_attestation needs serve.key_attesters")
	for id, levels := range c.KeyAttestation {
		need(!slices.Contains(slices.Concat(levels.KeyStorage, levels.UserAuthentication), ""), "serve.key_attestation.%s has a level without a name", id)
	}
	l := c.Login
	need(l.Issuer == "" || l.ClientID != "" && l.RecordClaim != "", "serve.login needs client_id and record_claim")
	need(l.Issuer != "" || l.ClientID == "" && l.RecordClaim == "" && len(l.Programmes) == 0, "serve.login needs issuer")
	if l.Issuer != "" {
		err := fetch.CheckURL(l.Issuer, l.LocalHosts)
		need(err == nil, "serve.login.issuer: %v%s", err, ownNetwork("serve.login", l.Issuer))
	}
}

// ownNetwork is what to add to the refusal of a plain http address in a section that has
// local_hosts.
func ownNetwork(section, address string) string {
	if !strings.HasPrefix(address, "http://") {
		return ""
	}
	return "; a host of the own network is named in " + section + ".local_hosts"
}

// longestTxCode is the longest transaction code that people are given.
const longestTxCode = 10

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// delimiter is the separator as a rune; 0 asks for detection.
func (s SourceConfig) delimiter() (rune, error) {
	switch r := []rune(s.Delimiter); {
	case len(r) == 0:
		return 0, nil
	case s.Delimiter == "tab":
		return '\t', nil
	case len(r) == 1:
		return r[0], nil
	}
	return 0, fmt.Errorf("delimiter %q is not one character", s.Delimiter)
}
