using System.Net;
using System.Security.Cryptography;
using System.Text;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>webhooks.md 1 and 5: size, headers, signature, parse.</summary>
public sealed class ReceiptTests(WebhookFixture<ReceiptTests> fixture) : IClassFixture<WebhookFixture<ReceiptTests>>
{
    private const string Path = "/webhooks/clerk";
    private readonly TestApp app = fixture.App;
    private readonly WebhookSender sender = fixture.Sender;

    [Fact]
    public async Task Body_over_1_MB_is_413_before_anything_else_is_looked_at()
    {
        var answer = await sender.PostAsync(Path, new byte[(1024 * 1024) + 1]);
        Assert.Equal((HttpStatusCode.RequestEntityTooLarge, "The body is larger than 1 MB"), (answer.Status, answer.Error));
    }

    [Fact]
    public async Task Body_over_1_MB_in_chunks_is_413()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(Path, UriKind.Relative))
        {
            Content = new ByteArrayContent(new byte[(1024 * 1024) + 1]),
            Headers = { TransferEncodingChunked = true },
        };
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await fixture.Flow.SendAsync(request)).Status);
    }

    [Fact]
    public async Task Body_of_1_MB_is_accepted()
    {
        var body = """{"type":"email.created","data":{},"timestamp":1}""".PadRight(1024 * 1024);
        var answer = await sender.PostAsync(Path, Encoding.UTF8.GetBytes(body), WebhookSender.SvixHeaders(WebhookSender.NewId("msg"), body));
        Assert.True(answer.Status == HttpStatusCode.OK, answer.Text);
    }

    [Theory]
    [InlineData("/webhooks/clerk", "svix-id", "svix-timestamp")]
    [InlineData("/webhooks/clerk", "svix-id", "webhook-timestamp", "svix-signature")]
    [InlineData("/webhooks/clerk", "Stripe-Signature")]
    [InlineData("/webhooks/stripe", "X-Signature")]
    [InlineData("/webhooks/verification")]
    [InlineData("/webhooks/orders", "svix-id", "svix-timestamp", "svix-signature")]
    public async Task Missing_headers_are_400_even_when_the_body_is_no_json(string path, params string[] names)
    {
        var answer = await sender.PostAsync(path, "no json"u8.ToArray(), [.. names.Select(name => (name, "1"))]);
        Assert.Equal((HttpStatusCode.BadRequest, """{"error":"Missing webhook verification headers"}"""), (answer.Status, answer.Text));
    }

    [Theory]
    [InlineData("/webhooks/clerk", "svix-id", "svix-timestamp", "svix-signature")]
    [InlineData("/webhooks/stripe", "Stripe-Signature")]
    [InlineData("/webhooks/verification", "X-Signature")]
    [InlineData("/webhooks/orders", "X-HMAC-Signature")]
    public async Task Invalid_signature_is_400_even_when_the_body_is_no_json(string path, params string[] names)
    {
        var answer = await sender.PostAsync(path, "no json"u8.ToArray(), [.. names.Select(name => (name, "1"))]);
        Assert.Equal((HttpStatusCode.BadRequest, """{"error":"Invalid webhook signature"}"""), (answer.Status, answer.Text));
    }

    /// <summary>"Parse (400)": signed, but nothing that an event could be read from. Nothing of it is kept.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("no json")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("\ufeff{}")]
    [InlineData("{}")]
    [InlineData("""{"type":"user.updated"}""")]
    [InlineData("""{"type":"user.updated","data":[]}""")]
    [InlineData("""{"type":5,"data":{}}""")]
    [InlineData("""{"type":"\u0000","data":{}}""")]
    [InlineData("""{"type":"\ud800","data":{}}""")]
    [InlineData("""{"type":"user.updated","data":{},"timestamp":1}""")] // of whom?
    [InlineData("""{"type":"user.updated","data":{"id":"user_1"}}""")] // since when?
    [InlineData("""{"type":"user.updated","data":{"id":"user_1","updated_at":1e99}}""")]
    [InlineData("""{"type":"user.updated","data":{"id":"user_1","updated_at":"yesterday"}}""")]
    public async Task Signed_body_that_is_no_event_is_400(string body)
    {
        var id = WebhookSender.NewId("msg");
        var answer = await sender.PostAsync(Path, Encoding.UTF8.GetBytes(body), WebhookSender.SvixHeaders(id, body));
        Assert.Equal((HttpStatusCode.BadRequest, """{"error":"Invalid webhook payload"}"""), (answer.Status, answer.Text));
        Assert.Equal(0, await app.Database.CountAsync("webhook_events", $"event_id = '{id}'"));
    }

    /// <summary>Half of a surrogate pair in what a handler reads, wherever it is: the sender's mistake, which no retry mends.</summary>
    [Theory]
    [InlineData("clerk", """{"type":"user.updated","timestamp":1700000000000,"data":{"id":"user_half","updated_at":1700000000000,"first_name":"HALF"}}""")]
    [InlineData("clerk", """
        {"type":"user.updated","timestamp":1700000000000,"data":{"id":"user_half",
        "updated_at":1700000000000,"email_addresses":[{"email_address":"HALF"}]}}
        """)]
    [InlineData("clerk", """{"type":"user.deleted","timestamp":1700000000000,"data":{"id":"HALF"}}""")]
    [InlineData("stripe", """
        {"id":"evt_half","type":"customer.subscription.created","created":1700000000,
        "data":{"object":{"id":"sub_half","customer":"cus_half","status":"HALF"}}}
        """)]
    [InlineData("stripe", """
        {"id":"evt_half","type":"customer.subscription.created","created":1700000000,
        "data":{"object":{"id":"sub_half","items":{"data":[{"price":{"lookup_key":"HALF"}}]}}}}
        """)]
    [InlineData("stripe", """
        {"id":"evt_half","type":"checkout.session.completed","created":1700000000,
        "data":{"object":{"id":"cs_half","payment_status":"paid","client_reference_id":"HALF"}}}
        """)]
    [InlineData("stripe", """
        {"id":"evt_half","type":"invoice.paid","created":1700000000,
        "data":{"object":{"parent":{"subscription_details":{"subscription":"sub_half","metadata":{"clerk_user_id":"HALF"}}}}}}
        """)]
    [InlineData("stripe", """{"id":"evt_half","type":"customer.created","created":1700000000,"data":{"objec\ud83d":1}}""")]
    [InlineData("orders", """{"id":"whe_half","event":"order.created","orderId":"order_half","customerEmail":"HALF","orderTotal":1}""")]
    [InlineData("orders", """{"id":"whe_half","event":"order.created","orderId":"order_half","customerEmail":"a@example.com","orderTotal":"HALF"}""")]
    [InlineData("verification", """{"id":"ver_half","event":"verification.updated","orderId":"order_half","status":"HALF"}""")]
    public async Task Text_that_is_no_unicode_is_400(string source, string text)
    {
        var body = $"{text}".Replace("HALF", @"half \ud83d", StringComparison.Ordinal);

        var answer = await sender.PostAsync("/webhooks/" + source, Encoding.UTF8.GetBytes(body), source switch
        {
            "clerk" => WebhookSender.SvixHeaders("msg_half", body),
            "stripe" => [("Stripe-Signature", WebhookSender.StripeHeader(body))],
            "orders" => [("X-Signature", WebhookSender.Hex(WebhookSender.OrdersSecret, body))],
            _ => [("X-Signature", WebhookSender.Hex(WebhookSender.VerificationSecret, body))],
        });

        Assert.Equal((HttpStatusCode.BadRequest, """{"error":"Invalid webhook payload"}"""), (answer.Status, answer.Text));
        Assert.Equal(0, await app.Database.CountAsync("webhook_events", "event_id LIKE '%half%'"));
    }

    /// <summary>RFC 8259 8.1: JSON is UTF-8. Metadata that nobody reads may hold what it likes, as long as it is JSON.</summary>
    [Fact]
    public async Task Bytes_that_are_no_utf8_are_400_and_strange_text_that_nobody_reads_is_not()
    {
        var user = WebhookSender.NewId("user");
        var text = Events.User("user.created", user, 1_700_000_000_000).ToJsonString();
        var bytes = Encoding.Latin1.GetBytes(
            """{"id":"whe_latin","event":"order.created","orderId":"o","customerEmail":"a@example.com","orderTotal":1,"note":"résumé"}""");
        var signature = Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(WebhookSender.OrdersSecret), bytes));
        var answer = await sender.PostAsync("/webhooks/orders", bytes, ("X-Signature", signature));
        Assert.Equal((HttpStatusCode.BadRequest, """{"error":"Invalid webhook payload"}"""), (answer.Status, answer.Text));

        var odd = text.Replace(@"""first_name""", @"""unsafe_metadata"":{""a"":""\ud800""},""first_name""", StringComparison.Ordinal);
        answer = await sender.PostAsync(Path, Encoding.UTF8.GetBytes(odd), WebhookSender.SvixHeaders(WebhookSender.NewId("msg"), odd));
        Assert.Equal("""{"received":true}""", answer.Text);
        Assert.Equal(1, await app.Database.CountAsync("users", $"clerk_user_id = '{user}' AND name = 'Ada Lovelace'"));
    }

    [Fact]
    public async Task Names_too_long_for_a_key_are_400()
    {
        var body = Events.User("user.updated", new string('u', 513), 1);
        Assert.Equal(HttpStatusCode.BadRequest, (await sender.ClerkAsync(body)).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await sender.ClerkAsync(Events.User("user.updated", "user_1", 1), new string('m', 513))).Status);
    }

    /// <summary>"The paths the seeds' dashboards point at".</summary>
    [Theory]
    [InlineData("/api/webhooks/clerk")]
    [InlineData("/api/v2/webhooks/clerk")]
    public async Task Alias_receives_the_same_events(string path)
    {
        var user = WebhookSender.NewId("user");
        var body = Events.User("user.created", user, 1_700_000_000_000).ToJsonString();
        var headers = WebhookSender.SvixHeaders(WebhookSender.NewId("msg"), body);

        var first = await sender.PostAsync(path, Encoding.UTF8.GetBytes(body), headers);
        var second = await sender.PostAsync(Path, Encoding.UTF8.GetBytes(body), headers);

        Assert.Equal("""{"received":true}""", first.Text);
        Assert.Equal("true", second["duplicate"], ignoreCase: true);
        Assert.Equal(1, await app.Database.CountAsync("users", $"clerk_user_id = '{user}'"));
    }

    [Fact]
    public async Task Source_is_found_by_its_name_in_any_case_and_another_is_404()
    {
        var answer = await sender.PostAsync("/Webhooks/Clerk", "{}"u8.ToArray());
        Assert.Equal((HttpStatusCode.BadRequest, "Missing webhook verification headers"), (answer.Status, answer.Error));
        Assert.Equal(HttpStatusCode.NotFound, (await sender.PostAsync("/webhooks/nobody", "{}"u8.ToArray())).Status);
    }

    [Fact]
    public async Task Old_path_of_stripe_is_410_and_says_where_to_go()
    {
        var answer = await sender.StripeAsync(Events.Stripe("customer.created", 1, []));
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        answer = await sender.PostAsync("/api/webhooks/stripe", "{}"u8.ToArray());
        Assert.Equal(HttpStatusCode.Gone, answer.Status);
        Assert.Contains(app.BaseUrl + "/webhooks/stripe", answer["detail"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Get_is_404() => Assert.Equal(HttpStatusCode.NotFound, (await app.Http.GetAsync(new Uri(Path, UriKind.Relative))).StatusCode);

    [Fact]
    public async Task Refused_signature_is_logged_without_a_word_of_the_request()
    {
        await sender.PostAsync(Path, "secret body"u8.ToArray(), ("svix-id", "msg_refused"), ("svix-timestamp", "1"), ("svix-signature", "v1,cmVmdXNlZA"));
        Assert.Contains(app.Log.Lines, line => line.StartsWith("Warning 5006 Webhook of clerk", StringComparison.Ordinal));
        string[] words = ["msg_refused", "secret body", "cmVmdXNlZA"];
        Assert.DoesNotContain(app.Log.Lines, entry => words.Any(word => entry.Contains(word, StringComparison.Ordinal)));
    }
}
