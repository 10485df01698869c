using System.CommandLine;
using System.Globalization;
using System.Text;
using GptFunctions.Data;

namespace GptFunctions.Audit;

/// <summary>Who does something as an operator, and why: every action of theirs takes it, and its audit event has it.</summary>
/// <param name="By">The Clerk user id on a page; <c>command:NAME</c> in a command.</param>
/// <param name="Reason">One line of at most <see cref="LongestReason"/> characters; null when none was given.</param>
internal sealed record OperatorAct(string By, string? Reason)
{
    public const int LongestReason = 200;
    private const int LongestName = 100;

    /// <summary>Why the sessions that it ends ended, as sessions and their events say it.</summary>
    public string EndReason => Reason is null ? "operator" : "operator: " + Reason;

    /// <summary><see cref="Outbox.Tell"/> with <c>operator</c> and <c>reason</c> in the payload; binds the act beside the occasion.</summary>
    /// <inheritdoc cref="Outbox.Tell"/>
    public static string Tell(string type, string rows, string members) =>
        Outbox.Tell(type, rows, members + ", 'operator', @operator::text, 'reason', @operator_reason::text");

    /// <summary>Of a command.</summary>
    /// <param name="name">Null: the user of this machine.</param>
    public static OperatorAct OfCommand(string? name, string? reason = null) =>
        new("command:" + (name ?? Environment.UserName), string.IsNullOrWhiteSpace(reason) ? null : reason.Trim());

    /// <summary>What is wrong with a reason as somebody typed it, as the end of a sentence; null when nothing is.</summary>
    public static string? ProblemWithReason(string? reason) => ProblemWith(reason, LongestReason);

    /// <summary>The same of the name of whoever runs a command.</summary>
    public static string? ProblemWithName(string? name) =>
        name is not null && string.IsNullOrWhiteSpace(name) ? "must not be empty." : ProblemWith(name, LongestName);

    // A control or format character (a line break, U+202E) would make a list of events lie about what happened.
    private static string? ProblemWith(string? text, int longest) =>
        text is null || (text.Length <= longest && text.EnumerateRunes().All(IsShown)) ? null
            : string.Create(CultureInfo.InvariantCulture, $"must be one line of at most {longest} characters.");

    private static bool IsShown(Rune rune) => Rune.GetUnicodeCategory(rune) is not (UnicodeCategory.Control or UnicodeCategory.Format
        or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.Surrogate) && rune != Rune.ReplacementChar;
}

/// <summary><c>--by</c> and <c>--reason</c> of a command that changes something.</summary>
internal sealed class OperatorOptions
{
    private readonly Option<string?> by = new("--by") { Description = "Who does it, for the audit trail; the user of this machine when left out." };
    private readonly Option<string?> reason;

    /// <param name="command">Gets both options.</param>
    /// <param name="isReasonRequired">Whether the command is refused without a reason.</param>
    public OperatorOptions(Command command, bool isReasonRequired = false)
    {
        reason = new Option<string?>("--reason")
        {
            Description = $"Why, in up to {OperatorAct.LongestReason} characters: for the audit trail.",
            Required = isReasonRequired,
        };
        by.Validators.Add(result =>
        {
            if (OperatorAct.ProblemWithName(result.GetValueOrDefault<string?>()) is { } problem)
            {
                result.AddError("--by " + problem);
            }
        });
        reason.Validators.Add(result =>
        {
            var text = result.GetValueOrDefault<string?>();
            if ((isReasonRequired && string.IsNullOrWhiteSpace(text) ? "is empty: say why." : OperatorAct.ProblemWithReason(text)) is { } problem)
            {
                result.AddError("--reason " + problem);
            }
        });
        command.Add(by);
        command.Add(reason);
    }

    public OperatorAct Read(ParseResult parsed) => OperatorAct.OfCommand(parsed.GetValue(by), parsed.GetValue(reason));
}

internal static class OperatorBinding
{
    /// <summary>Gives @operator and @operator_reason of <see cref="OperatorAct.Tell"/> their values.</summary>
    public static TStatement Bind<TStatement>(this TStatement statement, OperatorAct act)
        where TStatement : Statement => statement.Bind("operator", act.By).Bind("operator_reason", act.Reason);
}
