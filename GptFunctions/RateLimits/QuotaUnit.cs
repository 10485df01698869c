using System.Runtime.InteropServices;

namespace GptFunctions.RateLimits;

/// <summary>One unit of what a user's plan gives in a month, to be counted with a try that is admitted.</summary>
/// <param name="Id">By which it is given back.</param>
/// <param name="Month">The month's first day (UTC).</param>
/// <param name="Amount">How many units there are; negative: without limit.</param>
internal sealed record QuotaUnit(Guid Id, Guid UserId, string Quota, DateOnly Month, int Amount);

/// <summary>Whether a unit was counted, and how many of the month are now.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct UnitAnswer(bool IsTaken, long Used);

/// <summary>What the database says of a try.</summary>
/// <param name="Left">The time until the bucket is full again.</param>
/// <param name="Unit">Null for a try that was refused or had none.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct TryAnswer(bool IsAdmitted, TimeSpan Left, UnitAnswer? Unit = null);
