package googletts

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"cloud.google.com/go/texttospeech/apiv1/texttospeechpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"wakefuzz/tts"
)

// The limits of the real service, as its interface documents them.
const (
	maxTextBytes         = 5000
	minRate, maxRate     = 0.25, 2.0
	minPitch, maxPitch   = -20.0, 20.0
	minVolume, maxVolume = -96.0, 16.0
)

// voice is one of the service's voices.
type voice struct {
	name, language string
	// flite is flite's voice that speaks for it, and hertz the mean of its
	// pitch. A voice without one can't change it; nor can some of the real.
	flite string
	hertz float64
}

// voices are in no order, as the real service's are. The last one stands for
// those that the real service lists without a language in their name.
var voices = []voice{
	{name: "en-US-Standard-B", language: "en-US", flite: "kal", hertz: 105},
	{name: "en-US-Neural2-D", language: "en-US", flite: "kal16", hertz: 105},
	{name: "en-US-Neural2-C", language: "en-US", flite: "slt", hertz: 170},
	{name: "en-GB-Standard-B", language: "en-GB", flite: "awb", hertz: 120},
	{name: "en-US-Chirp3-HD-Charon", language: "en-US", flite: "rms"},
	{name: "Charon", language: "en-US", flite: "rms"},
}

// check refuses what the real service refuses, and finds the voice.
func check(request *texttospeechpb.SynthesizeSpeechRequest) (voice, error) {
	input := request.GetInput().GetText()
	if ssml, ok := request.GetInput().GetInputSource().(*texttospeechpb.SynthesisInput_Ssml); ok {
		input = ssml.Ssml
		if _, err := phones(input); err != nil {
			return voice{}, invalid("Invalid SSML. Newer voices like Neural2 require valid SSML: " + err.Error())
		}
	}
	asked, audio := request.GetVoice(), request.GetAudioConfig()
	switch {
	case strings.TrimSpace(input) == "":
		return voice{}, invalid("Request contains an invalid argument.")
	case len(input) > maxTextBytes:
		return voice{}, invalid("Either `input.text` or `input.ssml` is longer than the limit of 5000 bytes. This limit is different from quotas. To fix, reduce the byte length of the characters in this request, or consider using the Long Audio API.")
	case audio.GetAudioEncoding() != texttospeechpb.AudioEncoding_LINEAR16 || audio.GetSampleRateHertz() != tts.SampleRate:
		return voice{}, invalid("This test server answers in LINEAR16 at 16000 Hz only.")
	case audio.GetSpeakingRate() != 0 && !within(audio.GetSpeakingRate(), minRate, maxRate),
		!within(audio.GetPitch(), minPitch, maxPitch),
		!within(audio.GetVolumeGainDb(), minVolume, maxVolume):
		return voice{}, invalid("Request contains an invalid argument.")
	}
	for _, v := range voices {
		if v.name != asked.GetName() {
			continue
		}
		if v.language != asked.GetLanguageCode() {
			return voice{}, invalid("Requested language code '" + asked.GetLanguageCode() + "' doesn't match the voice '" +
				v.name + "''s language code '" + v.language + "'. Please either provide a different language code or voice.")
		}
		if audio.GetPitch() != 0 && v.hertz == 0 {
			return voice{}, invalid("This voice does not support pitch parameters at this time.")
		}
		return v, nil
	}
	return voice{}, invalid("Voice '" + asked.GetName() + "' does not exist. Is it misspelled?")
}

func invalid(message string) error { return status.Error(codes.InvalidArgument, message) }

// within is false for what is not a number.
func within(x, low, high float64) bool { return x >= low && x <= high }

// phones are flite's, of the IPA in a phoneme element of SSML.
func phones(ssml string) (string, error) {
	var speak struct {
		XMLName xml.Name `xml:"speak"`
		Phoneme struct {
			Alphabet string `xml:"alphabet,attr"`
			IPA      string `xml:"ph,attr"`
		} `xml:"phoneme"`
	}
	if err := xml.Unmarshal([]byte(ssml), &speak); err != nil {
		return "", err
	}
	if speak.Phoneme.Alphabet != "ipa" || speak.Phoneme.IPA == "" {
		return "", errors.New("this test server takes a phoneme element with IPA only")
	}
	said := fromIPA.Replace(speak.Phoneme.IPA)
	if i := strings.IndexFunc(said, func(r rune) bool { return r >= utf8.RuneSelf }); i >= 0 {
		return "", fmt.Errorf("%q has a sign that is not of English IPA", speak.Phoneme.IPA)
	}
	return "pau " + said + "pau", nil
}

// fromIPA turns the signs of English into flite's phones, and drops the stress.
var fromIPA = strings.NewReplacer("ˈ", "", "ˌ", "",
	"tʃ", "ch ", "dʒ", "jh ", "aʊ", "aw ", "aɪ", "ay ", "eɪ", "ey ", "oʊ", "ow ", "ɔɪ", "oy ",
	"ɑ", "aa ", "æ", "ae ", "ʌ", "ah ", "ə", "ax ", "ɔ", "ao ", "ð", "dh ", "ɛ", "eh ", "ɝ", "er ", "ɚ", "er ",
	"ɡ", "g ", "h", "hh ", "ɪ", "ih ", "i", "iy ", "ŋ", "ng ", "ɹ", "r ", "ʃ", "sh ", "θ", "th ", "ʊ", "uh ",
	"u", "uw ", "j", "y ", "ʒ", "zh ", "b", "b ", "d", "d ", "f", "f ", "k", "k ", "l", "l ", "m", "m ", "n", "n ",
	"p", "p ", "s", "s ", "t", "t ", "v", "v ", "w", "w ", "z", "z ")

// speak renders what is to be said as a WAV file.
func speak(ctx context.Context, v voice, input *texttospeechpb.SynthesisInput, audio *texttospeechpb.AudioConfig) ([]byte, error) {
	folder, err := os.MkdirTemp("", "googletts")
	if err != nil {
		return nil, status.Errorf(codes.Internal, "googletts: %v", err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	file := filepath.Join(folder, "speech.wav")

	// Some characters can't be part of a program's argument.
	source, said := "-t", strings.ReplaceAll(input.GetText(), "\x00", " ")
	if input.GetSsml() != "" {
		source = "-p"
		if said, err = phones(input.GetSsml()); err != nil {
			return nil, status.Errorf(codes.Internal, "googletts: %v", err)
		}
	}
	args := []string{"-voice", v.flite, source, said, "-o", file}
	if rate := audio.GetSpeakingRate(); rate != 0 {
		args = append(args, "--setf", "duration_stretch="+decimal(1/rate))
	}
	if semitones := audio.GetPitch(); semitones != 0 {
		args = append(args, "--setf", "int_f0_target_mean="+decimal(v.hertz*math.Exp2(semitones/12)))
	}
	if output, err := exec.CommandContext(ctx, "flite", args...).CombinedOutput(); err != nil {
		return nil, status.Errorf(codes.Internal, "googletts: flite: %v: %s", err, output)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "googletts: %v", err)
	}
	clip, err := tts.DecodeWAV(bytes.NewReader(raw))
	if err != nil {
		return nil, status.Errorf(codes.Internal, "googletts: flite's answer: %v", err)
	}
	gain := math.Pow(10, audio.GetVolumeGainDb()/20)
	for i, s := range clip.Samples {
		clip.Samples[i] = int16(max(math.MinInt16, min(math.MaxInt16, math.Round(gain*float64(s)))))
	}
	var wav bytes.Buffer
	if err := tts.EncodeWAV(&wav, clip); err != nil {
		return nil, status.Errorf(codes.Internal, "googletts: %v", err)
	}
	return wav.Bytes(), nil
}

func decimal(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
