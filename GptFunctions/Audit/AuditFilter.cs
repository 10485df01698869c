using System.Runtime.InteropServices;
using GptFunctions.Data;

namespace GptFunctions.Audit;

/// <summary>Which rows of the audit trail are meant; null leaves a filter out.</summary>
internal sealed record AuditFilter
{
    /// <summary>For <see cref="Type"/>: whatever operators did.</summary>
    public const string OfOperators = "gpt.operator.*";

    /// <summary>The Clerk user id.</summary>
    public string? Subject { get; init; }

    public string? ClientId { get; init; }

    public string? SessionId { get; init; }

    /// <summary>In full, or <see cref="OfOperators"/>.</summary>
    public string? Type { get; init; }

    public string? CorrelationId { get; init; }

    /// <summary>The first moment that counts.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>The first moment that no longer counts.</summary>
    public DateTimeOffset? Until { get; init; }
}

/// <summary>A place in the trail: where a page ended.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct AuditPlace(DateTimeOffset OccurredAt, Guid Id)
{
    /// <summary>For a URL.</summary>
    public override string ToString() => new ListPlace(OccurredAt, Id.ToString("N")).ToString();

    /// <summary>Null for what no page of ours wrote.</summary>
    public static AuditPlace? Parse(string? text) =>
        ListPlace.Parse(text) is { } place && Guid.TryParseExact(place.Key, "N", out var id) ? new AuditPlace(place.At, id) : null;
}
