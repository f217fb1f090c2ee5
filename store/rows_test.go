package store_test

import (
	"crypto/sha256"
	"fmt"

	"github.com/sanad-id/sanad/issuance"
	"github.com/sanad-id/sanad/keys"
)

var kind = issuance.ListKind{Programme: "farmer-card", Form: "qr", Bits: 1}

func programmeRow() issuance.ProgrammeRow {
	text := []byte("id: farmer-card\n")
	return issuance.ProgrammeRow{ID: "farmer-card", Version: 1, Text: text, Digest: sha256.Sum256(text), Added: now}
}

func batchRow() issuance.Batch {
	return issuance.Batch{ID: "batch-1", Programme: "farmer-card", Version: 1, Source: "farmers.csv", State: issuance.BatchRunning, Started: now, Changed: now}
}

func publicationRow(n uint64) issuance.Publication {
	content := fmt.Appendf(nil, "bundle %d", n)
	return issuance.Publication{Name: "trust", Number: n, IssuedAt: now, Digest: sha256.Sum256(content), Content: content}
}

func credID(n int) string { return fmt.Sprintf("01JD5%021d", n) }

func credential(n int) issuance.Credential {
	return issuance.Credential{
		ID: credID(n), Programme: "farmer-card", Version: 1, Record: sha256.Sum256(fmt.Appendf(nil, "record %d", n)), State: issuance.Intended,
		IssuedAt: now, Changed: now, Batch: "batch-1", Row: int64(n),
		Forms: []issuance.FormRecord{{
			Form: "qr", Slot: issuance.Slot{List: "https://office-1.example/status/1", Index: uint64(n) * 0x9E3779B1 % (1 << 20)},
			Key: keys.ID{1}, ToBeSigned: sha256.Sum256(fmt.Appendf(nil, "tbs %d", n)),
		}},
	}
}
