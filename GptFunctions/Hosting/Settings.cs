using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace GptFunctions.Hosting;

/// <summary>Options of one feature, read from environment variables or the files of <see cref="SecretsDirectory"/>.</summary>
internal interface ISettings
{
    /// <summary>What keeps the program from starting, beyond the data annotations: one sentence each, naming the setting and what to do.</summary>
    IEnumerable<string> Problems(bool isProduction);
}

/// <summary>The name of the environment variable that a property of an <see cref="ISettings"/> class is read from.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class SettingAttribute(string name) : Attribute
{
    public string Name { get; } = name;
}

internal static class SettingsRegistration
{
    /// <summary>Reads <typeparamref name="T"/> from configuration, again when a secret file changes, and checks it before anything starts.</summary>
    public static void AddSettings<T>(this IHostApplicationBuilder builder)
        where T : class, ISettings, new()
    {
        var isProduction = builder.Environment.IsProduction();
        builder.Services.AddSingleton<IOptionsFactory<T>>(services =>
            new SettingsReader<T>(services.GetRequiredService<IConfiguration>(), isProduction, services.GetRequiredService<ILogger<SettingsReader<T>>>()));
        builder.Services.AddSingleton<IOptionsChangeTokenSource<T>>(services => new ConfigurationChangeTokenSource<T>(services.GetRequiredService<IConfiguration>()));
        builder.Services.AddOptions<T>().ValidateOnStart();
    }
}

/// <summary>
/// Reads every property that has a <see cref="SettingAttribute"/>. A value that cannot be read is a problem among the others,
/// not an exception, so that a start shows all that is wrong at once. Empty means absent. Lists are separated by spaces.
/// A secret file that turns bad while the program runs is reported, and the last good values stay in force.
/// </summary>
internal sealed partial class SettingsReader<T>(IConfiguration configuration, bool isProduction, ILogger<SettingsReader<T>> logger) : IOptionsFactory<T>
    where T : class, ISettings, new()
{
    private static readonly (PropertyInfo Property, string Name)[] Settings =
        [.. typeof(T).GetProperties().Select(property => (property, property.GetCustomAttribute<SettingAttribute>()?.Name!)).Where(pair => pair.Item2 is not null)];

    private T? lastGood;

    public T Create(string name)
    {
        var options = new T();
        foreach (var (property, setting) in Settings)
        {
            if (configuration[setting] is { Length: > 0 } text && TryConvert(text, property.PropertyType, out var value))
            {
                property.SetValue(options, value);
            }
        }

        var problems = Problems(options);
        if (problems.Count == 0)
        {
            lastGood = options;
        }
        else if (lastGood is null)
        {
            throw new OptionsValidationException(name, typeof(T), problems);
        }
        else
        {
            LogRefused(string.Join(' ', problems));
        }

        return lastGood;
    }

    private List<string> Problems(T options)
    {
        var unreadable = Settings
            .Where(setting => configuration[setting.Name] is { Length: > 0 } text && !TryConvert(text, setting.Property.PropertyType, out _))
            .Select(setting => Unreadable(setting.Property, setting.Name));
        var annotated = new List<ValidationResult>();
        Validator.TryValidateObject(options, new ValidationContext(options), annotated, validateAllProperties: true);
        return [.. unreadable, .. annotated.Select(result => result.ErrorMessage!), .. options.Problems(isProduction)];
    }

    private static bool TryConvert(string text, Type type, out object? value)
    {
        if (type == typeof(string[]))
        {
            value = text.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            return true;
        }

        var converter = TypeDescriptor.GetConverter(type);
        value = converter.IsValid(text) ? converter.ConvertFromString(null, CultureInfo.InvariantCulture, text) : null;
        return value is not null;
    }

    /// <summary>A number that is too long to be read is out of range as well, so the range is said in any case.</summary>
    private static string Unreadable(PropertyInfo property, string name) => property.GetCustomAttribute<RangeAttribute>()?.ErrorMessage is { } range
        ? range.Replace(" must be ", " must be a whole number ", StringComparison.Ordinal)
        : $"{name} must be {Kind(property.PropertyType)}.";

    private static string Kind(Type type) => type == typeof(int) ? "a whole number" : type == typeof(bool) ? "true or false" : "a " + type.Name;

    [LoggerMessage(1030, LogLevel.Error, "Changed settings were not taken over, those before stay in force: {Problems}")]
    private partial void LogRefused(string problems);
}
