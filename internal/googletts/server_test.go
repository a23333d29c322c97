package googletts_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/texttospeech/apiv1/texttospeechpb"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"wakefuzz/internal/googletts"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func dial(t *testing.T, s *googletts.Server) texttospeechpb.TextToSpeechClient {
	t.Helper()
	conn, err := grpc.NewClient(strings.TrimPrefix(s.Endpoint(), "http://"),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return texttospeechpb.NewTextToSpeechClient(conn)
}

func request(text string, change ...func(*texttospeechpb.SynthesizeSpeechRequest)) *texttospeechpb.SynthesizeSpeechRequest {
	r := &texttospeechpb.SynthesizeSpeechRequest{
		Input: &texttospeechpb.SynthesisInput{InputSource: &texttospeechpb.SynthesisInput_Text{Text: text}},
		Voice: &texttospeechpb.VoiceSelectionParams{LanguageCode: "en-US", Name: "en-US-Neural2-D"},
		AudioConfig: &texttospeechpb.AudioConfig{
			AudioEncoding:   texttospeechpb.AudioEncoding_LINEAR16,
			SampleRateHertz: 16000,
		},
	}
	for _, f := range change {
		f(r)
	}
	return r
}

func TestSpeaksTheSameAgain(t *testing.T) {
	server := googletts.Start(t)
	client := dial(t, server)
	var first []byte
	for range 2 {
		answer, err := client.SynthesizeSpeech(t.Context(), request("naïve alexa"))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = answer.GetAudioContent()
		}
		if !bytes.Equal(first, answer.GetAudioContent()) {
			t.Error("the same request gave another sound")
		}
	}
	want := googletts.Stats{Syntheses: 2, Characters: 2 * len([]rune("naïve alexa")), Peak: 1}
	if got := server.Stats(); got != want {
		t.Errorf("stats %+v, want %+v", got, want)
	}
}

func TestListsTheVoicesOfALanguage(t *testing.T) {
	client := dial(t, googletts.Start(t))
	answer, err := client.ListVoices(t.Context(), &texttospeechpb.ListVoicesRequest{LanguageCode: "en-GB"})
	if err != nil {
		t.Fatal(err)
	}
	if v := answer.GetVoices(); len(v) != 1 || v[0].GetName() != "en-GB-Standard-B" {
		t.Errorf("voices of en-GB: %v", v)
	}
}

func TestRefusesWhatTheServiceRefuses(t *testing.T) {
	server := googletts.Start(t)
	client := dial(t, server)
	type change = func(*texttospeechpb.SynthesizeSpeechRequest)
	for name, test := range map[string]struct {
		text   string
		change change
		words  string
	}{
		"nothing to say": {" ", func(*texttospeechpb.SynthesizeSpeechRequest) {}, "invalid argument"},
		"no text": {"", func(r *texttospeechpb.SynthesizeSpeechRequest) {
			r.Input = nil
		}, "invalid argument"},
		"too long": {strings.Repeat("a", 5001), func(*texttospeechpb.SynthesizeSpeechRequest) {}, "5000 bytes"},
		"SSML that is none": {"", func(r *texttospeechpb.SynthesizeSpeechRequest) {
			r.Input.InputSource = &texttospeechpb.SynthesisInput_Ssml{Ssml: "<speak>"}
		}, "Invalid SSML"},
		"IPA that is none": {"", func(r *texttospeechpb.SynthesizeSpeechRequest) {
			r.Input.InputSource = &texttospeechpb.SynthesisInput_Ssml{Ssml: `<speak><phoneme alphabet="ipa" ph="ø">x</phoneme></speak>`}
		}, "Invalid SSML"},
		"unknown voice": {"a", func(r *texttospeechpb.SynthesizeSpeechRequest) {
			r.Voice.Name = "en-US-Neural2-Q"
		}, "Is it misspelled?"},
		"other language": {"a", func(r *texttospeechpb.SynthesizeSpeechRequest) {
			r.Voice.LanguageCode = "de-DE"
		}, "doesn't match"},
		"no pitch": {"a", func(r *texttospeechpb.SynthesizeSpeechRequest) {
			r.Voice.Name = "en-US-Chirp3-HD-Charon"
			r.AudioConfig.Pitch = 1
		}, "does not support pitch"},
		"rate": {"a", func(r *texttospeechpb.SynthesizeSpeechRequest) {
			r.AudioConfig.SpeakingRate = 2.1
		}, "invalid argument"},
		"pitch": {"a", func(r *texttospeechpb.SynthesizeSpeechRequest) {
			r.AudioConfig.Pitch = -21
		}, "invalid argument"},
		"volume": {"a", func(r *texttospeechpb.SynthesizeSpeechRequest) {
			r.AudioConfig.VolumeGainDb = 17
		}, "invalid argument"},
		"MP3": {"a", func(r *texttospeechpb.SynthesizeSpeechRequest) {
			r.AudioConfig.AudioEncoding = texttospeechpb.AudioEncoding_MP3
		}, "LINEAR16"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client.SynthesizeSpeech(t.Context(), request(test.text, test.change))
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), test.words) {
				t.Errorf("error %v, want InvalidArgument with %q", err, test.words)
			}
		})
	}
	if got := server.Stats().Characters; got != 0 {
		t.Errorf("%d characters billed for refused calls", got)
	}
}

func TestFaultsComeInTurnAndAreForgotten(t *testing.T) {
	server := googletts.Start(t)
	client := dial(t, server)
	call := func() codes.Code {
		_, err := client.SynthesizeSpeech(t.Context(), request("a"))
		return status.Code(err)
	}
	server.Fail(1, googletts.Quota)
	server.Fail(2, googletts.Outage)
	for i, want := range []codes.Code{codes.ResourceExhausted, codes.Unavailable, codes.Unavailable, codes.OK} {
		if got := call(); got != want {
			t.Errorf("call %d: %v, want %v", i+1, got, want)
		}
	}
	server.Fail(1, googletts.InternalError)
	server.Recover()
	if got := call(); got != codes.OK {
		t.Errorf("after Recover: %v", got)
	}
}

func TestDropsInMidAnswer(t *testing.T) {
	server := googletts.Start(t)
	client := dial(t, server)
	server.Fail(1, googletts.Fault{Drop: true})
	if _, err := client.SynthesizeSpeech(t.Context(), request("alexa")); status.Code(err) != codes.Unavailable {
		t.Errorf("error %v, want a lost connection", err)
	}
	if _, err := client.SynthesizeSpeech(t.Context(), request("alexa")); err != nil {
		t.Errorf("after the drop: %v", err)
	}
	if got := server.Stats().Syntheses; got != 2 {
		t.Errorf("%d calls arrived, want 2", got)
	}
}

func TestPeakCountsWhatIsAnsweredAtTheSameTime(t *testing.T) {
	server := googletts.Start(t)
	client := dial(t, server)
	const callers = 4
	server.Fail(callers, googletts.Fault{Delay: time.Hour})
	ctx, leave := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	for range callers {
		calls.Go(func() {
			if _, err := client.SynthesizeSpeech(ctx, request("a")); status.Code(err) != codes.Canceled {
				t.Errorf("error %v, want Canceled", err)
			}
		})
	}
	for server.Stats().Peak < callers {
		time.Sleep(time.Millisecond)
	}
	leave()
	calls.Wait()
}
