using System.Globalization;
using System.Net;
using System.Text;
using GptFunctions.Tests.Support;
using GptFunctions.Webhooks;
using Webhook = Svix.Webhook;

namespace GptFunctions.Tests.Webhooks;

/// <summary>webhooks.md 2 and 3: an unsigned byte never gets in, and what is signed does however it is written.</summary>
public sealed class SignatureTests(WebhookFixture<SignatureTests> fixture) : IClassFixture<WebhookFixture<SignatureTests>>
{
    private const string VectorId = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    private const string Unhandled = """{"type":"email.created","data":{"id":"ema_1"},"timestamp":1614265330000}""";
    private static readonly DateTimeOffset VectorTime = DateTimeOffset.FromUnixTimeSeconds(1614265330);
    private readonly TestApp app = fixture.App;
    private readonly WebhookSender sender = fixture.Sender;

    public static TheoryData<string, string> Vectors => new()
    {
        { """{"test": 2432232314}""", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" },
        { new string('a', 256 * 1024), "v1,Mw4Pe2WgApuT7NSqnSq0PQPV9gbLdggCl9B865x5Xh0=" },
    };

    [Theory]
    [MemberData(nameof(Vectors))]
    public void Svix_sign_gives_the_signatures_of_the_vectors(string body, string expected)
    {
        Assert.Equal(expected, new Webhook(WebhookSender.ClerkSecret).Sign(VectorId, VectorTime, body));
        Assert.Equal(expected, WebhookSender.SvixSignature(VectorId, "1614265330", body)); // and the tests' own signer
    }

    /// <summary>The vectors are years old; the same bytes signed now are accepted.</summary>
    [Theory]
    [MemberData(nameof(Vectors))]
    public void Svix_signature_of_the_vectors_is_too_old_and_a_new_one_holds(string body, string old)
    {
        var signature = new SvixSignature();
        var bytes = Encoding.UTF8.GetBytes(body);

        Assert.False(signature.IsValid(
            Headers([("svix-id", VectorId), ("svix-timestamp", "1614265330"), ("svix-signature", old)]),
            bytes,
            WebhookSender.ClerkSecret,
            VectorTime));
        Assert.True(signature.IsValid(Headers(WebhookSender.SvixHeaders(VectorId, body)), bytes, WebhookSender.ClerkSecret, WebhookSender.Now));
    }

    /// <summary>"Signed body with odd spacing, unicode escapes, big numbers, reordered keys: accepted".</summary>
    [Theory]
    [InlineData("  { \"timestamp\" :1614265330000 ,\r\n\t\"data\":{ },  \"type\": \"email.created\"}\n ")]
    [InlineData("""{"type":"\u0065mail.cr\u00e9ated\ud83d\ude00","data":{"id":"\u007b\"\\\/"},"timestamp":1614265330000}""")]
    [InlineData("""{"type":"email.created","data":{"n":123456789012345678901234567890.000000000000000000001,"e":1E400},"timestamp":1614265330000}""")]
    [InlineData("""{"data":{},"zz":null,"type":"email.created","a":[[[]]],"timestamp":1614265330000}""")]
    [InlineData("""{"type":"email.created","data":{"name":"Zoë 漢字 😀 ﻿"},"timestamp":1614265330000}""")]
    public async Task Clerk_signed_body_however_it_is_written_is_accepted(string body)
    {
        var answer = await sender.PostAsync("/webhooks/clerk", Encoding.UTF8.GetBytes(body), WebhookSender.SvixHeaders(WebhookSender.NewId("msg"), body));
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
    }

    /// <summary>"One byte flipped: 400": each of them.</summary>
    [Fact]
    public async Task Clerk_body_with_any_byte_flipped_is_400_and_leaves_nothing()
    {
        var id = WebhookSender.NewId("msg");
        var headers = WebhookSender.SvixHeaders(id, Unhandled);
        for (var position = 0; position < Unhandled.Length; position++)
        {
            var body = Encoding.UTF8.GetBytes(Unhandled);
            body[position] ^= 1;
            AssertInvalid(await sender.PostAsync("/webhooks/clerk", body, headers));
        }

        Assert.Equal(0, await app.Database.CountAsync("webhook_events", $"event_id = '{id}'"));
    }

    /// <summary>Bytes that are no UTF-8 could stand for other text.</summary>
    [Fact]
    public async Task Clerk_body_that_is_no_utf8_is_400()
    {
        byte[] body = [.. Encoding.UTF8.GetBytes("{\"type\":\"a\",\"data\":{\"x\":\""), 0xff, .. Encoding.UTF8.GetBytes("\"},\"timestamp\":1614265330000}")];
        AssertInvalid(await sender.PostAsync("/webhooks/clerk", body, WebhookSender.SvixHeaders("msg_utf8", Encoding.UTF8.GetString(body))));
    }

    /// <summary>"+-300 s both ways", "5 min + 1 s old or ahead: 400"; a second of tolerance for the test's own time.</summary>
    [Theory]
    [InlineData(-302, false)]
    [InlineData(-298, true)]
    [InlineData(298, true)]
    [InlineData(302, false)]
    public async Task Timestamp_counts_for_300_seconds_both_ways(int seconds, bool isAccepted)
    {
        var time = WebhookSender.Now.AddSeconds(seconds);
        var clerk = await sender.PostAsync(
            "/webhooks/clerk", Encoding.UTF8.GetBytes(Unhandled), WebhookSender.SvixHeaders(WebhookSender.NewId("msg"), Unhandled, time));
        var body = Events.Stripe("customer.created", 1614265330, []).ToJsonString();
        var stripe = await sender.PostAsync("/webhooks/stripe", Encoding.UTF8.GetBytes(body), ("Stripe-Signature", WebhookSender.StripeHeader(body, time)));

        Assert.All([clerk, stripe], answer => Assert.Equal(isAccepted ? HttpStatusCode.OK : HttpStatusCode.BadRequest, answer.Status));
    }

    /// <summary>"several signatures, unknown versions skipped": wherever the right one stands.</summary>
    [Theory]
    [InlineData("{0} v1,AAAA v1a,BBBB")]
    [InlineData("v1,AAAA {0} v1a,BBBB")]
    [InlineData("v1a,BBBB v1,AAAA {0}")]
    public async Task Clerk_one_right_signature_among_several_is_accepted(string header)
    {
        var (id, seconds) = (WebhookSender.NewId("msg"), WebhookSender.Now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        var signatures = string.Format(CultureInfo.InvariantCulture, header, WebhookSender.SvixSignature(id, seconds, Unhandled));
        var answer = await sender.PostAsync(
            "/webhooks/clerk", Encoding.UTF8.GetBytes(Unhandled), ("svix-id", id), ("svix-timestamp", seconds), ("svix-signature", signatures));
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
    }

    [Theory]
    [InlineData("v1,")]
    [InlineData("v1")]
    [InlineData(",")]
    [InlineData("v2,{0}")]
    [InlineData("{1}")]
    public async Task Clerk_signature_that_is_none_is_400(string header)
    {
        var (id, seconds) = (WebhookSender.NewId("msg"), WebhookSender.Now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        var right = WebhookSender.SvixSignature(id, seconds, Unhandled);
        var signatures = string.Format(CultureInfo.InvariantCulture, header, right[3..], right[3..]);
        AssertInvalid(await sender.PostAsync(
            "/webhooks/clerk", Encoding.UTF8.GetBytes(Unhandled), ("svix-id", id), ("svix-timestamp", seconds), ("svix-signature", signatures)));
    }

    [Theory]
    [InlineData("svix")]
    [InlineData("webhook")]
    public async Task Clerk_second_secret_and_both_kinds_of_headers_are_accepted(string prefix)
    {
        var headers = WebhookSender.SvixHeaders(WebhookSender.NewId("msg"), Unhandled, secret: WebhookSender.OtherClerkSecret, prefix: prefix);
        var answer = await sender.PostAsync("/webhooks/clerk", Encoding.UTF8.GetBytes(Unhandled), headers);
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
    }

    /// <summary>The event's id is the one that was signed, whatever other header names one.</summary>
    [Fact]
    public async Task Clerk_id_of_the_other_kind_of_header_counts_for_nothing()
    {
        var id = WebhookSender.NewId("msg");
        var answer = await sender.PostAsync(
            "/webhooks/clerk", Encoding.UTF8.GetBytes(Unhandled), [("svix-id", "msg_forged"), .. WebhookSender.SvixHeaders(id, Unhandled, prefix: "webhook")]);
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
        Assert.Equal(1, await app.Database.CountAsync("webhook_events", $"event_id = '{id}'"));
        Assert.Equal(0, await app.Database.CountAsync("webhook_events", "event_id = 'msg_forged'"));
    }

    /// <summary>"Stripe headers that must fail cleanly", and their relatives.</summary>
    [Theory]
    [InlineData("t=,v1=x")]
    [InlineData("t,v1=,v0")]
    [InlineData(",,")]
    [InlineData("=")]
    [InlineData("t=99999999999999999999,v1=00")]
    [InlineData("t=-1,v1=00")]
    [InlineData("t={0}")]
    [InlineData("t={0},v1=")]
    [InlineData("t={0},v1=zz")]
    [InlineData("t={0},v0={1}")] // the right value, but not in this scheme
    [InlineData("v1={1}")]
    public async Task Stripe_header_without_a_valid_v1_is_400(string header)
    {
        var body = Events.Stripe("customer.created", 1614265330, []).ToJsonString();
        var seconds = WebhookSender.Now.ToUnixTimeSeconds();
        var text = string.Format(CultureInfo.InvariantCulture, header, seconds, WebhookSender.Hex(WebhookSender.StripeSecret, $"{seconds}.{body}"));
        AssertInvalid(await sender.PostAsync("/webhooks/stripe", Encoding.UTF8.GetBytes(body), ("Stripe-Signature", text)));
    }

    /// <summary>"any matching v1"; the secret is the text itself, not base64; the second secret of the list.</summary>
    [Fact]
    public async Task Stripe_any_matching_v1_is_accepted()
    {
        var body = Events.Stripe("customer.created", 1614265330, []).ToJsonString();
        var seconds = WebhookSender.Now.ToUnixTimeSeconds();
        var header = $"t={seconds},v1={new string('0', 64)},v1={WebhookSender.Hex(WebhookSender.StripeSecret, $"{seconds}.{body}")},v1=";
        var answer = await sender.PostAsync("/webhooks/stripe", Encoding.UTF8.GetBytes(body), ("Stripe-Signature", header));
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
    }

    [Theory]
    [InlineData("X-Signature", true, HttpStatusCode.OK)]
    [InlineData("X-HMAC-Signature", true, HttpStatusCode.OK)]
    [InlineData("X-Signature", false, HttpStatusCode.BadRequest)] // the secret of the other route
    public async Task Orders_hex_hmac_of_the_body_with_the_routes_own_secret_is_accepted(string header, bool isOwn, HttpStatusCode expected)
    {
        var body = $$"""{"id":"{{WebhookSender.NewId("whe")}}","event":"order.touched"}""";
        var signature = WebhookSender.Hex(isOwn ? WebhookSender.OrdersSecret : WebhookSender.VerificationSecret, body);
        Assert.Equal(expected, (await sender.PostAsync("/webhooks/orders", Encoding.UTF8.GetBytes(body), (header, signature))).Status);
        Assert.Equal(expected, (await sender.PostAsync("/webhooks/orders", Encoding.UTF8.GetBytes(body), (header, signature.ToUpperInvariant()))).Status);
        AssertInvalid(await sender.PostAsync("/webhooks/orders", Encoding.UTF8.GetBytes(body + " "), (header, signature)));
    }

    [Theory]
    [InlineData("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true)]
    [InlineData("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true)]
    [InlineData("whsec_", false)]
    [InlineData("whsec_not base64", false)]
    public void Svix_secret_is_base64(string secret, bool expected) => Assert.Equal(expected, SvixSignature.IsSecret(secret));

    private static void AssertInvalid(JsonAnswer answer) => Assert.Equal(
        (HttpStatusCode.BadRequest, """{"error":"Invalid webhook signature"}"""), (answer.Status, answer.Text));

    private static Func<string, string?> Headers(IEnumerable<(string Name, string Value)> headers)
    {
        var values = headers.ToDictionary(header => header.Name, header => header.Value, StringComparer.OrdinalIgnoreCase);
        return name => values.GetValueOrDefault(name);
    }
}
