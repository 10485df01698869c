using System.Text.Json;
using GptFunctions.Hosting;
using GptFunctions.Identity;
using GptFunctions.Sessions;
using Npgsql;

namespace GptFunctions.Webhooks;

/// <summary>Clerk tells who the users are: their profile, and when they are banned, locked or deleted.</summary>
internal sealed class ClerkWebhooks : IWebhookSource
{
    private const string UserDeleted = "user.deleted";
    private const long LongestLock = 10L * 365 * 24 * 3600; // in seconds; anything more is as good as for ever

    public string Name => "clerk";

    public ISignature Signature { get; } = new SvixSignature("Clerk");

    public WebhookEvent? Read(JsonElement body, string? headerId)
    {
        if (headerId is null || body.Text("type") is not { } type || body.Member("data") is not { ValueKind: JsonValueKind.Object } data)
        {
            return null;
        }

        var sent = body.UnixTime("timestamp", 1000);
        var webhook = new WebhookEvent(headerId, type, data) { Subject = data.Text("id"), OccurredAt = data.UnixTime("updated_at", 1000) ?? sent };
        return type switch
        {
            "user.created" or "user.updated" =>
                webhook.Subject is null || webhook.OccurredAt is null ? null : webhook with { Order = EventOrder.Change, Profile = ProfileOf(webhook) },
            UserDeleted when webhook.Subject is null => webhook with { IsHandled = false, Warning = "it does not name the user" },
            UserDeleted => webhook with { Order = EventOrder.Deletion, OccurredAt = sent },
            "session.ended" or "session.removed" or "session.revoked" => webhook, // our sessions have a life of their own
            _ => webhook with { IsHandled = false },
        };
    }

    public void AddChanges(NpgsqlBatch batch, WebhookEvent webhook, Occasion occasion)
    {
        switch (webhook.Order)
        {
            case EventOrder.Deletion:
                UserStore.AddDelete(batch, webhook.Subject!, occasion);
                SessionStore.AddEndAll(batch, new SessionOwner(webhook.Subject!, null), "user_deleted", occasion);
                break;
            case EventOrder.Change when BlockedBecause(webhook.Data) is { } reason:
                SessionStore.AddEndAll(batch, new SessionOwner(webhook.Subject!, null), reason, occasion);
                break;
        }
    }

    private static ProfileChange ProfileOf(WebhookEvent webhook) => new(
        new Person(webhook.Subject!, Person.Shown(Email(webhook.Data)), DisplayText.NameOf(FullName(webhook.Data))),
        BlockOf(webhook), webhook.OccurredAt!.Value);

    private static string? BlockedBecause(JsonElement user) =>
        user.Flag("banned") == true ? "user_banned" : user.Flag("locked") == true ? "user_locked" : null;

    // Clerk lets a locked user go after a while, and that is no change of the user that it would tell.
    private static Block BlockOf(WebhookEvent webhook) => new(
        webhook.Data.Flag("banned"), webhook.Data.Flag("locked"),
        webhook.Data.Number("lockout_expires_in_seconds") is { } seconds and >= 0 and < LongestLock
            ? webhook.OccurredAt + TimeSpan.FromSeconds(seconds)
            : null);

    private static string? Email(JsonElement user)
    {
        var addresses = user.Items("email_addresses").ToList();
        var primary = user.Text("primary_email_address_id");
        var address = addresses.Find(address => address.Text("id") == primary);
        return (address.ValueKind == JsonValueKind.Undefined ? addresses.FirstOrDefault() : address).Text("email_address");
    }

    private static string? FullName(JsonElement user)
    {
        var name = string.Join(' ', new[] { user.Text("first_name"), user.Text("last_name") }.OfType<string>());
        return name.Length > 0 ? name : user.Text("username");
    }
}
