using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using GptFunctions.Tests.Support;

namespace GptFunctions.Tests.Webhooks;

/// <summary>An app that knows the secrets of all senders.</summary>
public class WebhookFixture<TTests> : AppFixture<TTests>
{
    internal WebhookSender Sender => new(App.Http);

    protected override IEnumerable<KeyValuePair<string, string?>> Settings => WebhookSender.Settings;
}

/// <summary>Signs as Clerk (Svix), Stripe, a shop and a verification provider do, by the specifications and with none of the program's code.</summary>
internal sealed class WebhookSender(HttpClient http)
{
    public const string ClerkSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    public const string OtherClerkSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    public const string StripeSecret = "whsec_stripe_test_secret_0123456789abcdef";
    public const string VerificationSecret = "verification-test-secret-0123456789";
    public const string OrdersSecret = "orders-test-secret-0123456789";

    public static IEnumerable<KeyValuePair<string, string?>> Settings =>
    [
        new("CLERK_WEBHOOK_SECRET", $"{ClerkSecret} {OtherClerkSecret}"), new("STRIPE_WEBHOOK_SECRET", "whsec_an_older_one_0123456789abcdef " + StripeSecret),
        new("VERIFICATION_WEBHOOK_SECRET", VerificationSecret), new("ORDERS_WEBHOOK_SECRET", OrdersSecret),
    ];

    public static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    /// <summary>Delivers an event of Clerk; without an id it is a new one.</summary>
    public Task<JsonAnswer> ClerkAsync(JsonObject body, string? id = null) =>
        PostAsync("/webhooks/clerk", body, SvixHeaders(id ?? NewId("msg"), body.ToJsonString()));

    public Task<JsonAnswer> StripeAsync(JsonObject body) =>
        PostAsync("/webhooks/stripe", body, ("Stripe-Signature", StripeHeader(body.ToJsonString())));

    public Task<JsonAnswer> OrderAsync(JsonObject body) =>
        PostAsync("/webhooks/orders", body, ("X-Signature", Hex(OrdersSecret, body.ToJsonString())));

    public Task<JsonAnswer> VerificationAsync(JsonObject body) =>
        PostAsync("/webhooks/verification", body, ("X-HMAC-Signature", Hex(VerificationSecret, body.ToJsonString())));

    public Task<JsonAnswer> PostAsync(string path, JsonObject body, params (string Name, string Value)[] headers) =>
        PostAsync(path, Encoding.UTF8.GetBytes(body.ToJsonString()), headers);

    public async Task<JsonAnswer> PostAsync(string path, byte[] body, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative))
        {
            Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } },
        };
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return await new OAuthFlow(http).SendAsync(request);
    }

    public static (string, string)[] SvixHeaders(string id, string body, DateTimeOffset? time = null, string secret = ClerkSecret, string prefix = "svix")
    {
        var seconds = (time ?? Now).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        return [($"{prefix}-id", id), ($"{prefix}-timestamp", seconds), ($"{prefix}-signature", SvixSignature(id, seconds, body, secret))];
    }

    public static string SvixSignature(string id, string seconds, string body, string secret = ClerkSecret)
    {
        var key = Convert.FromBase64String(secret["whsec_".Length..]);
        RunLog.NoteSecret(secret);
        return "v1," + Convert.ToBase64String(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{id}.{seconds}.{body}")));
    }

    public static string StripeHeader(string body, DateTimeOffset? time = null, string secret = StripeSecret)
    {
        var seconds = (time ?? Now).ToUnixTimeSeconds();
        return $"t={seconds},v1={Hex(secret, $"{seconds}.{body}")},v0={Hex("another", body)}";
    }

    public static string Hex(string secret, string text)
    {
        RunLog.NoteSecret(secret);
        return Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(text)));
    }

    public static string NewId(string prefix) => $"{prefix}_{Guid.NewGuid():N}";
}

/// <summary>Bodies as the senders write them, cut down to what matters.</summary>
internal static class Events
{
    /// <param name="at">Milliseconds since 1970: <c>data.updated_at</c>.</param>
    public static JsonObject User(
        string type, string user, long at, string? email = null, bool isBanned = false, bool isLocked = false, string firstName = "Ada",
        string lastName = "Lovelace") => new()
        {
            ["data"] = new JsonObject
            {
                ["id"] = user,
                ["object"] = "user",
                ["first_name"] = firstName,
                ["last_name"] = lastName,
                ["primary_email_address_id"] = "idn_2",
                ["email_addresses"] = new JsonArray(
                new JsonObject { ["id"] = "idn_1", ["email_address"] = "old@example.com" },
                new JsonObject { ["id"] = "idn_2", ["email_address"] = email ?? user + "@example.com" }),
                ["banned"] = isBanned,
                ["locked"] = isLocked,
                ["updated_at"] = at,
            },
            ["object"] = "event",
            ["timestamp"] = at + 7,
            ["type"] = type,
        };

    public static JsonObject UserDeleted(string? user, long at) => new()
    {
        ["data"] = user is null
            ? new JsonObject { ["deleted"] = true, ["object"] = "user" }
            : new JsonObject { ["deleted"] = true, ["id"] = user, ["object"] = "user" },
        ["object"] = "event",
        ["timestamp"] = at,
        ["type"] = "user.deleted",
    };

    /// <param name="at">Seconds since 1970.</param>
    public static JsonObject Stripe(string type, long at, JsonObject data, string? id = null) => new()
    {
        ["id"] = id ?? WebhookSender.NewId("evt"),
        ["object"] = "event",
        ["created"] = at,
        ["type"] = type,
        ["data"] = new JsonObject { ["object"] = data },
    };

    public static JsonObject Subscription(
        string change, long at, string subscription, string customer, string status = "active", string plan = "pro", string? user = null) =>
        Stripe("customer.subscription." + change, at, new JsonObject
        {
            ["id"] = subscription,
            ["object"] = "subscription",
            ["customer"] = customer,
            ["status"] = change == "deleted" ? "canceled" : status,
            ["items"] = new JsonObject
            {
                ["data"] = new JsonArray(new JsonObject { ["price"] = new JsonObject { ["id"] = "price_1", ["lookup_key"] = plan } }),
            },
            ["metadata"] = user is null ? [] : new JsonObject { ["clerk_user_id"] = user },
        });

    public static JsonObject Invoice(string what, long at, string subscription, string customer) =>
        Stripe("invoice." + what, at, new JsonObject
        {
            ["id"] = "in_1",
            ["object"] = "invoice",
            ["customer"] = customer,
            ["parent"] = new JsonObject
            {
                ["subscription_details"] = new JsonObject { ["subscription"] = subscription, ["metadata"] = new JsonObject() },
            },
        });

    public static JsonObject Checkout(long at, string? subscription, string? customer, string? user, string? plan = null) =>
        Stripe("checkout.session.completed", at, new JsonObject
        {
            ["id"] = WebhookSender.NewId("cs"),
            ["object"] = "checkout.session",
            ["customer"] = customer,
            ["subscription"] = subscription,
            ["client_reference_id"] = user,
            ["payment_status"] = "paid",
            ["metadata"] = plan is null ? [] : new JsonObject { ["plan"] = plan },
        });

    public static JsonObject Order(string orderId, string? id = null) => new()
    {
        ["id"] = id ?? WebhookSender.NewId("whe"),
        ["event"] = "order.created",
        ["orderId"] = orderId,
        ["customerEmail"] = "buyer@example.com",
        ["orderTotal"] = 129.90m,
    };

    public static JsonObject Verification(string orderId, string status, string? id = null) =>
        new() { ["id"] = id ?? WebhookSender.NewId("ver"), ["event"] = "verification.updated", ["status"] = status, ["orderId"] = orderId };
}
