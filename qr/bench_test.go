package qr_test

import (
	"math/rand/v2"
	"testing"

	"github.com/sanad-id/sanad/qr"
)

// messages are a text that compresses and one that does not.
func messages() map[string][]byte {
	random := make([]byte, 300)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(random)
	text := []byte("রহিম উদ্দিন আহমেদ Rahim Uddin Ahmed করিম উদ্দিন আহমেদ Karim Uddin Ahmed ফাতেমা বেগম Fatema Begum যশোর সদর হাসপাতাল")
	return map[string][]byte{"text": append(text, random[:64]...), "random": random}
}

func BenchmarkEncode(b *testing.B) {
	for name, message := range messages() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := qr.Encode(message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, message := range messages() {
		b.Run(name, func(b *testing.B) {
			text, err := qr.Encode(message)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := qr.Decode(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
