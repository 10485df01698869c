using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Reflection;
using GptFunctions.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace GptFunctions.Tests.Hosting;

/// <summary>Every number among the settings has a lowest and a highest value, and each refusal names both.</summary>
public sealed class SettingMessagesTests
{
    private static readonly MethodInfo ReadMethod = typeof(SettingMessagesTests).GetMethod(nameof(Read), BindingFlags.NonPublic | BindingFlags.Static)!;

    public static TheoryData<string> Numbers { get; } = [.. Properties().Where(property => property.PropertyType != typeof(bool) && property.PropertyType.IsValueType).Select(Name)];

    [Theory]
    [MemberData(nameof(Numbers))]
    public void Number_that_is_refused_is_answered_with_the_values_that_are_taken(string name)
    {
        var property = Assert.Single(Properties(), property => Name(property) == name);
        var range = property.GetCustomAttribute<RangeAttribute>();
        Assert.True(range?.ErrorMessage is not null, name + " lacks a [Range] with a message.");
        var (least, most) = ((int)range.Minimum, (int)range.Maximum);

        foreach (var taken in (int[])[least, most])
        {
            Assert.DoesNotContain(Refusals(property, taken.ToString(CultureInfo.InvariantCulture)), problem => problem.StartsWith($"{name} must be between", StringComparison.Ordinal));
        }

        foreach (var refused in (string[])[Text(least - 1L), Text(most + 1L), "99999999999999999999", "1.5", "some"])
        {
            var problem = Assert.Single(Refusals(property, refused), problem => problem.StartsWith($"{name} must be ", StringComparison.Ordinal) && problem.Contains(" between ", StringComparison.Ordinal));
            Assert.Matches($@"^{name} must be (?:a whole number )?between {least} and {most}(?: [a-z]+)?\.$", problem);
        }

        static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
    }

    [Fact]
    public void Annotation_of_any_setting_has_a_sentence_that_names_the_setting()
    {
        Assert.True(Numbers.Count > 10);
        Assert.All(
            Properties().SelectMany(property => property.GetCustomAttributes<ValidationAttribute>().Select(annotation => (Name: Name(property), annotation.ErrorMessage))),
            annotation => Assert.StartsWith(annotation.Name + " ", annotation.ErrorMessage, StringComparison.Ordinal));
    }

    private static IEnumerable<PropertyInfo> Properties() =>
        typeof(ISettings).Assembly.GetTypes().Where(type => type.IsAssignableTo(typeof(ISettings))).SelectMany(type => type.GetProperties()).Where(property => property.GetCustomAttribute<SettingAttribute>() is not null);

    private static string Name(PropertyInfo property) => property.GetCustomAttribute<SettingAttribute>()!.Name;

    private static IReadOnlyList<string> Refusals(PropertyInfo property, string value) =>
        (IReadOnlyList<string>)ReadMethod.MakeGenericMethod(property.DeclaringType!).Invoke(null, [Name(property), value])!;

    /// <summary>All that is wrong with this one setting given, the missing ones included.</summary>
    private static IReadOnlyList<string> Read<T>(string name, string value)
        where T : class, ISettings, new()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection([new(name, value)]).Build();
        try
        {
            new SettingsReader<T>(configuration, isProduction: true, NullLogger<SettingsReader<T>>.Instance).Create(Options.DefaultName);
            return [];
        }
        catch (OptionsValidationException refusal)
        {
            return [.. refusal.Failures];
        }
    }
}
